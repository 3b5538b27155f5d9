"""Compares two models at one level: paired bootstrap intervals and McNemar's exact test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierpets.evaluation.comparison.result import Accuracies, AccuracyIntervals, LevelComparison, McNemarTest, Side
from hierpets.evaluation.metrics.classes import balanced_weights, divide
from hierpets.evaluation.metrics.resampling import Statistic, estimate, interval_of_difference
from hierpets.text import counted

__all__ = ["compare_level", "mcnemar_exact"]

ALPHA = 0.05


def compare_level(
    photos: Sequence[tuple[str, bool, bool]],
    groups: np.ndarray | None,
    *,
    names: tuple[str, str],
    seed: int,
    resamples: int,
) -> LevelComparison:
    """Compare at one level. ``photos`` are N triples: the true class, whether A is right, and whether B is right."""
    truth, hit = [label for label, *_ in photos], np.array([right for _, *right in photos])
    values, intervals = estimate(_accuracies(hit, truth), len(truth), seed=seed, resamples=resamples, groups=groups)
    a, b, difference = (
        Accuracies(accuracy=values[f"{of}_accuracy"], balanced_accuracy=values[f"{of}_balanced_accuracy"])
        for of in ("a", "b", "difference")
    )
    lead = hit[:, 1].astype(int) - hit[:, 0]  # of B over A
    differs = lead != 0
    interval = AccuracyIntervals(
        accuracy=interval_of_difference(differs, intervals["difference_accuracy"], groups=groups),
        balanced_accuracy=interval_of_difference(
            differs, intervals["difference_balanced_accuracy"], balanced_weights(np.array(truth)), groups=groups
        ),
    )
    by_animal = lead if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], lead).astype(int)
    test = McNemarTest(
        only_a_right=int((lead < 0).sum()), only_b_right=int((lead > 0).sum()), p_value=mcnemar_exact(by_animal)
    )
    winner = _winner(interval, test)
    return LevelComparison(
        n=len(truth),
        a=a,
        b=b,
        difference=difference,
        interval=interval,
        mcnemar=test,
        winner=winner,
        verdict=_verdict(len(truth), difference, interval, test, winner=winner, names=names),
    )


def _accuracies(hit: np.ndarray, truth: list[str]) -> Statistic:
    """A statistic with the accuracy and balanced accuracy of both models, and their differences."""
    classes = np.eye(len(set(truth)))[np.unique(truth, return_inverse=True)[1]]

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        support = weights @ classes
        values = {}
        for side, right in zip("ab", hit.T.astype(float), strict=True):
            values[f"{side}_accuracy"] = weights @ right / weights.sum(axis=1)
            recall = divide(weights @ (classes * right[:, None]), support, 0.0)
            values[f"{side}_balanced_accuracy"] = recall.sum(axis=1) / (support > 0).sum(axis=1)
        metrics = ("accuracy", "balanced_accuracy")
        return values | {f"difference_{m}": values[f"b_{m}"] - values[f"a_{m}"] for m in metrics}

    return statistic


def mcnemar_exact(ahead: np.ndarray) -> float:
    """Two-sided p-value of the exact test whether two models are right equally often on the photos where they disagree.

    ``ahead`` int [K] is by how many photos of each animal B is ahead of A. If both models were equally good, either
    sign would have the same probability (Fisher's randomization test, 1935). With one photo per animal, this is
    McNemar's exact test (1947).
    """
    from scipy.stats import binom

    sizes, animals = np.unique(np.abs(ahead[ahead != 0]), return_counts=True)
    probabilities = np.ones(1)  # of each possible sum, in ascending order, in steps of two
    for size, n in zip(sizes.tolist(), animals.tolist(), strict=True):
        of_size = np.zeros(size * n + 1)
        of_size[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        probabilities = np.convolve(probabilities, of_size)
    most = int(sizes @ animals)
    sums = np.arange(-most, most + 1, 2)
    return min(1.0, float(probabilities[np.abs(sums) >= abs(ahead.sum())].sum()))


def _winner(interval: AccuracyIntervals, test: McNemarTest) -> Side | None:
    low, high = interval.accuracy
    if test.p_value >= ALPHA or low <= 0 <= high:
        return None
    return "b" if low > 0 else "a"


def _verdict(
    n: int,
    difference: Accuracies,
    interval: AccuracyIntervals,
    test: McNemarTest,
    *,
    winner: Side | None,
    names: tuple[str, str],
) -> str:
    disagreements = test.only_a_right + test.only_b_right
    if not disagreements:
        return f"no difference shown: both are correct on the same photos, of {n:,}"
    low, high = (100 * bound for bound in interval.accuracy)
    evidence = (
        f"{100 * difference.accuracy:+.1f} points of accuracy (95% interval {low:+.1f} to {high:+.1f}); they disagree "
        f"on {disagreements:,} of {counted(n, 'photo')}, where {names[0]} is correct {test.only_a_right:,} and "
        f"{names[1]} {test.only_b_right:,} times (McNemar p = {test.p_value:.2g})"
    )
    if winner is None:
        return f"no difference shown: {evidence}"
    return f"{names['ab'.index(winner)]} is better: {evidence}"
