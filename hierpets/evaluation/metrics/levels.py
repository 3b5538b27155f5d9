"""The metrics of one level: species, breed, or breed given the true species."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hierpets.evaluation.metrics.classes import ClassTotals, confusion_counts, divide
from hierpets.evaluation.metrics.curves import one_vs_rest
from hierpets.evaluation.metrics.resampling import estimate, interval_of_share, wilson_interval
from hierpets.evaluation.predictions import Predictions
from hierpets.hierarchy.probabilities import restrict

__all__ = ["N_BINS", "Level", "breed_given_species_level", "breed_level", "level_metrics", "species_level"]

N_BINS = 15
_WORST = 5
_TOP = 3


@dataclass(frozen=True, eq=False)
class Level:
    """One flat classification: ``truth`` int [N], ``probabilities`` float [N, C], ``candidates`` bool [N, C].

    A class that is no candidate for a photo (a dog breed when the species is known to be cat) has probability zero.
    """

    labels: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray
    candidates: np.ndarray

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


def species_level(predictions: Predictions) -> Level:
    """Every photo; a species' probability is the sum over its leaves."""
    probabilities = predictions.species_probabilities
    everything = np.ones(probabilities.shape, dtype=bool)
    return Level(predictions.taxonomy.species, predictions.species_true, probabilities, everything)


def breed_level(predictions: Predictions) -> Level | None:
    """The photos whose breed is told, against all leaves of all species; None when there is no such photo."""
    known = predictions.breed_known
    if not known.any():
        return None
    probabilities = predictions.probabilities[known]
    everything = np.ones(probabilities.shape, dtype=bool)
    return Level(predictions.leaf_names, predictions.leaf_true[known], probabilities, everything)


def breed_given_species_level(predictions: Predictions) -> Level | None:
    """The same photos, against the breeds of their true species: how good the breed head is on its own."""
    known = predictions.breed_known
    if not known.any():
        return None
    of_species = predictions.taxonomy.leaf_species[None, :] == predictions.species_true[known][:, None]
    conditional = restrict(predictions.probabilities[known], of_species)
    return Level(predictions.leaf_names, predictions.leaf_true[known], conditional, of_species)


def level_metrics(level: Level, *, seed: int, resamples: int) -> dict[str, Any]:
    """Everything said of one level, support first and accuracy last. Keys are described in ``docs/metrics.md``."""
    n, n_classes = level.probabilities.shape
    means = _photo_scores(level)
    bins = _bins_of(level.confidence)
    gap = (level.confidence - level.hit)[:, None] * np.eye(N_BINS)[bins]
    guess = level.guess

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        values = {name: weights @ score / n for name, score in means.items()}
        values["ece"] = np.abs(weights @ gap).sum(axis=1) / n
        return values | ClassTotals.count(level.truth, guess, weights, n_classes=n_classes).summary()

    values, intervals = estimate(statistic, n, seed=seed, resamples=resamples)
    intervals["accuracy"] = interval_of_share(level.hit, intervals["accuracy"])
    counts = confusion_counts(level.truth, guess, n_classes)
    curves = one_vs_rest(level.truth, level.probabilities, level.candidates, level.labels)
    per_class = _per_class(counts, curves, level.labels)
    accuracy = values.pop("accuracy")
    return {
        "n": n,
        "majority_class": _majority(counts, level.labels),
        "per_class": per_class,
        "worst_classes": _worst(per_class),
        "confusion_matrix": {"labels": list(level.labels), "counts": counts},
        "curves": {label: {k: c[k] for k in ("roc", "pr")} if c else None for label, c in curves.items()},
        "macro_roc_auc": _mean_of(per_class, "roc_auc"),
        "macro_pr_auc": _mean_of(per_class, "pr_auc"),
        **values,
        "calibration": _calibration(level, bins),
        "intervals": intervals,
        "accuracy": accuracy,
    }


def _photo_scores(level: Level) -> dict[str, np.ndarray]:
    """float [N] each: what is averaged over photos. Top 3 is undefined where there are no more than three classes."""
    truth = level.probability_of_truth
    in_top = _rank_of_truth(level) < _TOP if len(level.labels) > _TOP else np.full(len(truth), np.nan)
    return {
        "log_loss": -np.log(np.clip(truth, np.finfo(np.float64).eps, 1.0)),
        "brier": ((level.probabilities - np.eye(len(level.labels))[level.truth]) ** 2).sum(axis=1),
        "top3_accuracy": in_top.astype(float),
    }


def _rank_of_truth(level: Level) -> np.ndarray:
    """int [N]: how many classes stand before the true one; of equals the first column wins, as in argmax."""
    truth = level.probability_of_truth[:, None]
    before = np.arange(len(level.labels))[None, :] < level.truth[:, None]
    ahead = (level.probabilities > truth) | ((level.probabilities == truth) & before)
    return (ahead & level.candidates).sum(axis=1)


def _bins_of(confidence: np.ndarray) -> np.ndarray:
    """int [N]: the bin of each confidence among ``N_BINS`` of equal width, each open below and closed above."""
    return np.clip(np.ceil(confidence * N_BINS).astype(int) - 1, 0, N_BINS - 1)


def _calibration(level: Level, bins: np.ndarray) -> dict[str, Any]:
    n = np.bincount(bins, minlength=N_BINS)
    confidence = divide(np.bincount(bins, level.confidence, N_BINS), n, np.nan)
    hits = np.bincount(bins, level.hit.astype(float), N_BINS)
    return {
        "mean_confidence": float(level.confidence.mean()),
        "bins": [
            {
                "low": b / N_BINS,
                "high": (b + 1) / N_BINS,
                "n": n[b],
                "confidence": confidence[b],
                "accuracy": hits[b] / n[b] if n[b] else None,
                "accuracy_interval": wilson_interval(int(hits[b]), int(n[b])),
            }
            for b in range(N_BINS)
        ],
    }


def _per_class(counts: np.ndarray, curves: dict[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    hits, true, guessed = counts.diagonal()[None], counts.sum(axis=1)[None], counts.sum(axis=0)[None]
    totals = ClassTotals(true=true, guessed=guessed, hits=hits)
    recall, precision, f1 = totals.recall()[0], totals.precision()[0], totals.f1()[0]
    return {
        label: {
            "support": true[0, c],
            "recall": recall[c],
            "recall_interval": wilson_interval(int(hits[0, c]), int(true[0, c])),
            "precision": precision[c],
            "f1": f1[c],
            "roc_auc": curves[label]["roc_auc"] if curves[label] else None,
            "pr_auc": curves[label]["pr_auc"] if curves[label] else None,
        }
        for c, label in enumerate(labels)
    }


def _worst(per_class: dict[str, Any]) -> list[str]:
    """The classes of lowest recall among those that have photos, the worst first."""
    seen = [label for label, scores in per_class.items() if scores["support"]]
    return sorted(seen, key=lambda label: (per_class[label]["recall"], per_class[label]["f1"]))[:_WORST]


def _majority(counts: np.ndarray, labels: tuple[str, ...]) -> dict[str, Any]:
    support = counts.sum(axis=1)
    return {"label": labels[int(support.argmax())], "accuracy": float(support.max() / support.sum())}


def _mean_of(per_class: dict[str, Any], score: str) -> float | None:
    values = [scores[score] for scores in per_class.values() if scores[score] is not None]
    return float(np.mean(values)) if values else None
