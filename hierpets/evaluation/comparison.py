"""Two models on the same photos: is one better, or was it luck?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierpets.errors import DataError
from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.metrics.compute import plain
from hierpets.evaluation.metrics.resampling import estimate
from hierpets.evaluation.records import Record, inside

__all__ = ["ALPHA", "compare_records", "mcnemar_exact"]

ALPHA = 0.05


def compare_records(
    a: Sequence[Record], b: Sequence[Record], *, names: tuple[str, str], seed: int = 0, resamples: int = 2000
) -> dict[str, Any]:
    """Compare two evaluations photo by photo, at the levels species and breed.

    Photos are known by their paths inside the folder that holds them all, so that a data set may have been moved.
    Differences are B minus A, with 95 % paired bootstrap intervals. A winner of a level is named only when both the
    interval of the accuracy difference leaves out zero and McNemar's exact test finds p < 0.05. Raises ``DataError``
    when the photos or their labels are not the same.
    """
    pairs = _paired(a, b, names=names)
    told = [(x, y) for x, y in pairs if x.breed is not None]
    hits = {
        "species": ([(x.species_right, y.species_right) for x, y in pairs], [x.species for x, _ in pairs]),
        "breed": ([(x.breed_right, y.breed_right) for x, y in told], [f"{x.species}/{x.breed}" for x, _ in told]),
    }
    levels = {
        level: _compare_level(np.array(hit), truth, names=names, seed=seed, resamples=resamples) if truth else None
        for level, (hit, truth) in hits.items()
    }
    result: dict[str, Any] = plain({"a": names[0], "b": names[1], "n": len(pairs), "levels": levels})
    return result


def _paired(a: Sequence[Record], b: Sequence[Record], *, names: tuple[str, str]) -> list[tuple[Record, Record]]:
    a_by_path = dict(zip(inside([record.path for record in a]), a, strict=True))
    b_by_path = dict(zip(inside([record.path for record in b]), b, strict=True))
    only = [sorted(a_by_path.keys() - b_by_path.keys()), sorted(b_by_path.keys() - a_by_path.keys())]
    if any(only):
        missing = ", ".join(
            f"{len(lost)} only in {name} (such as {lost[0]})" for name, lost in zip(names, only, strict=True) if lost
        )
        raise DataError(
            f"the two runs were not evaluated on the same photos: {missing}; evaluate both on the same --data"
        )
    pairs = [(record, b_by_path[path]) for path, record in a_by_path.items()]
    relabeled = [x.path for x, y in pairs if (x.species, x.breed) != (y.species, y.breed)]
    if relabeled:
        raise DataError(
            f"the labels of {len(relabeled)} photos differ between the two runs (such as {relabeled[0]}); "
            "evaluate both on the same --data"
        )
    return pairs


def _compare_level(
    hit: np.ndarray, truth: list[str], *, names: tuple[str, str], seed: int, resamples: int
) -> dict[str, Any]:
    """``hit`` bool [N, 2]: was A right, was B right; ``truth`` names the N classes."""
    classes = np.eye(len(set(truth)))[np.unique(truth, return_inverse=True)[1]]

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        support = weights @ classes
        values = {}
        for name, right in zip("ab", hit.T.astype(float), strict=True):
            values[f"{name}_accuracy"] = weights @ right / weights.sum(axis=1)
            recall = divide(weights @ (classes * right[:, None]), support, 0.0)
            values[f"{name}_balanced_accuracy"] = recall.sum(axis=1) / (support > 0).sum(axis=1)
        differences = {m: values[f"b_{m}"] - values[f"a_{m}"] for m in ("accuracy", "balanced_accuracy")}
        return values | differences

    values, intervals = estimate(statistic, len(truth), seed=seed, resamples=resamples)
    only_a, only_b = int((hit[:, 0] & ~hit[:, 1]).sum()), int((~hit[:, 0] & hit[:, 1]).sum())
    result = {
        "n": len(truth),
        "a": {m: values[f"a_{m}"] for m in ("accuracy", "balanced_accuracy")},
        "b": {m: values[f"b_{m}"] for m in ("accuracy", "balanced_accuracy")},
        "difference": {m: values[m] for m in ("accuracy", "balanced_accuracy")},
        "interval": {m: intervals[m] for m in ("accuracy", "balanced_accuracy")},
        "mcnemar": {"only_a_right": only_a, "only_b_right": only_b, "p_value": mcnemar_exact(only_a, only_b)},
    }
    winner = _winner(result)
    return result | {"winner": winner, "verdict": _verdict(result, winner, names)}


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact McNemar test (1947): are the photos on which the two disagree split like coin tosses?"""
    from scipy.stats import binomtest

    disagreements = only_a + only_b
    return float(binomtest(only_a, disagreements, 0.5).pvalue) if disagreements else 1.0


def _winner(result: dict[str, Any]) -> str | None:
    low, high = result["interval"]["accuracy"]
    if result["mcnemar"]["p_value"] >= ALPHA or low <= 0 <= high:
        return None
    return "b" if low > 0 else "a"


def _verdict(result: dict[str, Any], winner: str | None, names: tuple[str, str]) -> str:
    low, high = (100 * bound for bound in result["interval"]["accuracy"])
    points = 100 * result["difference"]["accuracy"]
    test = result["mcnemar"]
    disagreements = test["only_a_right"] + test["only_b_right"]
    if not disagreements:
        return f"no difference shown: each is right where the other is, on all {result['n']} photos"
    evidence = (
        f"{points:+.1f} points of accuracy (95 % interval {low:+.1f} to {high:+.1f}); they disagree on {disagreements} "
        f"of {result['n']} photos, where {names[0]} is right {test['only_a_right']} and {names[1]} "
        f"{test['only_b_right']} times (McNemar p = {test['p_value']:.2g})"
    )
    if winner is None:
        return f"no difference shown: {evidence}"
    better = names["ab".index(winner)]
    return f"{better} is better: {evidence}"
