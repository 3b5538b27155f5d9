"""The metrics of one level: species, breed, or breed given the true species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hierpets.evaluation.metrics.classes import ClassTotals, balanced_weights, confusion_counts
from hierpets.evaluation.metrics.curves import OneVsRest, one_vs_rest
from hierpets.evaluation.metrics.reliability import expected_calibration_error, reliability
from hierpets.evaluation.metrics.resampling import (
    Statistic,
    effective_size,
    estimate,
    groups_of,
    interval_of_share,
    wilson_interval_of,
)
from hierpets.evaluation.metrics.schema import ClassScores, ConfusionMatrix, LevelMetrics, MajorityClass
from hierpets.evaluation.predictions import Predictions
from hierpets.hierarchy.probabilities import restrict

__all__ = ["LevelPredictions", "breed_given_species_level", "breed_level", "level_metrics", "species_level"]

_WORST = 5
_TOP = 3


@dataclass(frozen=True, eq=False)
class LevelPredictions:
    """The predictions of a flat classification: ``truth`` int [N], ``probabilities`` float [N, C], ``candidates`` bool
    [N, C]; ``groups`` as in :class:`Predictions`.

    A class that is not a candidate for a photo (a dog breed if the species is known to be cat) has probability zero.
    """

    labels: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray
    candidates: np.ndarray
    groups: np.ndarray | None

    @cached_property
    def guess(self) -> np.ndarray:
        return np.where(self.candidates, self.probabilities, -1.0).argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        return self.probabilities.max(axis=1)

    @cached_property
    def hit(self) -> np.ndarray:
        return self.guess == self.truth

    @cached_property
    def probability_of_truth(self) -> np.ndarray:
        return self.probabilities[np.arange(len(self.truth)), self.truth]

    @cached_property
    def rank_of_truth(self) -> np.ndarray:
        """Number of classes ranked before the true one, int [N]; of equal ones the first is before, as in argmax."""
        truth = self.probability_of_truth[:, None]
        before = np.arange(len(self.labels))[None, :] < self.truth[:, None]
        ahead = (self.probabilities > truth) | ((self.probabilities == truth) & before)
        return (ahead & self.candidates).sum(axis=1)


def species_level(predictions: Predictions) -> LevelPredictions:
    """Species predictions of every photo; a species' probability is the sum over its leaves."""
    probabilities = predictions.species_probabilities
    everything = np.ones(probabilities.shape, dtype=bool)
    truth, groups = predictions.species_true, predictions.groups
    return LevelPredictions(predictions.taxonomy.species, truth, probabilities, everything, groups)


def breed_level(predictions: Predictions) -> LevelPredictions | None:
    """Predictions among all leaves, of the photos whose breed is labeled; None without such photos."""
    known = predictions.breed_known
    if not known.any():
        return None
    probabilities = predictions.probabilities[known]
    everything = np.ones(probabilities.shape, dtype=bool)
    truth, groups = predictions.leaf_true[known], groups_of(predictions.groups, known)
    return LevelPredictions(predictions.leaf_names, truth, probabilities, everything, groups)


def breed_given_species_level(predictions: Predictions) -> LevelPredictions | None:
    """Predictions of the same photos among the breeds of the true species: how good the breed head is on its own."""
    known = predictions.breed_known
    if not known.any():
        return None
    of_species = predictions.taxonomy.leaf_species[None, :] == predictions.species_true[known][:, None]
    conditional = restrict(predictions.probabilities[known], of_species)
    truth, groups = predictions.leaf_true[known], groups_of(predictions.groups, known)
    return LevelPredictions(predictions.leaf_names, truth, conditional, of_species, groups)


def level_metrics(level: LevelPredictions, *, seed: int, resamples: int) -> LevelMetrics:
    """Compute all metrics of one level."""
    n, groups = len(level.truth), level.groups
    values, intervals = estimate(_statistic(level), n, seed=seed, resamples=resamples, biased=("ece",), groups=groups)
    intervals["accuracy"] = interval_of_share(level.hit, intervals["accuracy"], groups=groups)
    balanced = balanced_weights(level.truth)
    intervals["balanced_accuracy"] = interval_of_share(
        level.hit, intervals["balanced_accuracy"], balanced, groups=groups
    )
    if values["macro_recall"] == values["balanced_accuracy"]:  # no class without photos is predicted
        intervals["macro_recall"] = intervals["balanced_accuracy"]
    if len(level.labels) > _TOP:
        in_top = level.rank_of_truth < _TOP
        intervals["top3_accuracy"] = interval_of_share(in_top, intervals["top3_accuracy"], groups=groups)
    counts = confusion_counts(level.truth, level.guess, len(level.labels))
    curves = one_vs_rest(level.truth, level.probabilities, level.candidates, level.labels)
    per_class = _per_class(level, counts, curves)
    return LevelMetrics(
        n=n,
        majority_class=_majority(counts, level.labels),
        per_class=per_class,
        worst_classes=_worst(per_class),
        confusion_matrix=ConfusionMatrix(labels=level.labels, counts=counts),
        curves={label: found.curves if found else None for label, found in curves.items()},
        macro_roc_auc=_mean([c.roc_auc for c in per_class.values()]),
        macro_pr_auc=_mean([c.pr_auc for c in per_class.values()]),
        calibration=reliability(level.confidence, level.hit, groups),
        intervals=intervals,
        **values,
    )


def _statistic(level: LevelPredictions) -> Statistic:
    """A function from weights of the photos to the metrics that are averaged over photos."""
    n_classes = level.probabilities.shape[1]
    means = _photo_scores(level)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        values = {name: weights @ score / weights.sum(axis=1) for name, score in means.items()}
        values["ece"] = expected_calibration_error(level.confidence, level.hit, weights)
        return values | ClassTotals.count(level.truth, level.guess, weights, n_classes=n_classes).summary()

    return statistic


def _photo_scores(level: LevelPredictions) -> dict[str, np.ndarray]:
    """Per-photo scores to be averaged, float [N] each. Top 3 is undefined, NaN, with three classes or fewer."""
    truth = level.probability_of_truth
    in_top = level.rank_of_truth < _TOP if len(level.labels) > _TOP else np.full(len(truth), np.nan)
    return {
        "log_loss": -np.log(np.clip(truth, np.finfo(np.float64).eps, 1.0)),
        "brier": ((level.probabilities - np.eye(len(level.labels))[level.truth]) ** 2).sum(axis=1),
        "top3_accuracy": in_top.astype(float),
    }


def _per_class(
    level: LevelPredictions, counts: np.ndarray, curves: Mapping[str, OneVsRest | None]
) -> dict[str, ClassScores]:
    hits, true, guessed = counts.diagonal()[None], counts.sum(axis=1)[None], counts.sum(axis=0)[None]
    totals = ClassTotals(true=true, guessed=guessed, hits=hits)
    recall, precision, f1 = totals.recall()[0], totals.precision()[0], totals.f1()[0]
    return {
        label: ClassScores(
            support=true[0, c],
            recall=recall[c],
            recall_interval=wilson_interval_of(level.hit[own], groups=groups_of(level.groups, own)),
            effective_n=effective_size(np.ones(true[0, c]), groups_of(level.groups, own)),
            precision=precision[c],
            f1=f1[c],
            roc_auc=found.roc_auc if (found := curves[label]) else None,
            pr_auc=found.pr_auc if found else None,
        )
        for c, label in enumerate(level.labels)
        for own in (level.truth == c,)
    }


def _worst(per_class: Mapping[str, ClassScores]) -> tuple[str, ...]:
    """The classes with the lowest recall among those that have photos, worst first."""
    supported = [label for label, scores in per_class.items() if scores.support]
    return tuple(sorted(supported, key=lambda label: (per_class[label].recall, per_class[label].f1))[:_WORST])


def _majority(counts: np.ndarray, labels: tuple[str, ...]) -> MajorityClass:
    support = counts.sum(axis=1)
    return MajorityClass(label=labels[int(support.argmax())], accuracy=support.max() / support.sum())


def _mean(scores: Sequence[float | None]) -> float | None:
    defined = [score for score in scores if score is not None]
    return float(np.mean(defined)) if defined else None
