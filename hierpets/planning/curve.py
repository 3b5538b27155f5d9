"""Compute the learning curve, and the gain from the last photos of each class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.evaluation.metrics.classes import balanced_accuracy, balanced_weights
from hierpets.evaluation.metrics.resampling import (
    estimate,
    groups_of,
    interval_of_share,
    mean_difference,
    mean_of,
)
from hierpets.planning.crossvalidation import REMOVED, CrossValidation, trained_on
from hierpets.planning.result import ClassGain, CurvePoint
from hierpets.training.features.feature_set import FeatureSet

__all__ = ["class_gains", "curve_points"]

RESAMPLES = 1000


def curve_points(found: CrossValidation, photos: FeatureSet) -> Iterator[CurvePoint]:
    """Yield a point for each size; at the last, heads are fitted to all photos outside of the fold that judges them."""
    leaf, species, groups = photos.labels.leaf, photos.labels.species, photos.labels.groups
    breeds = balanced_accuracy(found.guesses == leaf, leaf)
    kinds = balanced_accuracy(photos.taxonomy.leaf_species[found.guesses] == species, species).mean(axis=0)
    trained = trained_on(photos.labels)
    for m, size in enumerate(found.sizes):
        yield CurvePoint(
            photos=size,
            mean_photos=float(np.minimum(trained, size).mean()),
            classes=int((trained >= min(size, trained.max())).sum()),
            accuracy=float(breeds[:, m].mean()),
            low=float(breeds[:, m].min()),
            high=float(breeds[:, m].max()),
            interval=_interval_of_recall((found.guesses[:, m] == leaf).mean(axis=0), leaf, groups),
            species=float(kinds[m]),
        )


def class_gains(found: CrossValidation, photos: FeatureSet) -> tuple[ClassGain, ...]:
    """Return the gain of every class, the largest first, and of equal ones the class of lower recall first."""
    leaf = photos.labels.leaf
    right = (found.guesses[:, -1] == leaf).mean(axis=0)
    gained = right - found.right_without.mean(axis=0)
    gains, trained = [], trained_on(photos.labels)
    for k, label in enumerate(photos.taxonomy.leaves):
        rows = leaf == k
        groups = groups_of(photos.labels.groups, rows)
        gain, interval = mean_difference(gained[rows], resamples=RESAMPLES, groups=groups)
        photos_of = int(rows.sum())
        gains.append(
            ClassGain(
                label=str(label),
                photos=photos_of,
                recall=float(right[rows].mean()),
                removed=min(REMOVED, int(trained[k]) // 2),
                gain=gain,
                interval=interval,
            )
        )
    return tuple(sorted(gains, key=lambda found: (-found.gain, found.recall)))


def _interval_of_recall(right: np.ndarray, leaf: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """Return the interval of the mean recall of classes; ``right`` float [N] is how often each photo is recognized."""
    weights = balanced_weights(leaf)
    recall = mean_of("recall", right, weights)
    _, intervals = estimate(recall, len(leaf), seed=0, resamples=RESAMPLES, groups=groups)
    return interval_of_share(right, intervals["recall"], weights, groups=groups)
