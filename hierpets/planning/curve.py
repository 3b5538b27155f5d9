"""The learning curve, and what the last photos of each class brought it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.evaluation.metrics.classes import balanced_accuracy
from hierpets.evaluation.metrics.resampling import estimate
from hierpets.planning.crossvalidation import REMOVED, CrossValidation, trained_on
from hierpets.planning.result import ClassGain, CurvePoint
from hierpets.training.features.feature_set import FeatureSet

__all__ = ["class_gains", "curve_points"]

RESAMPLES = 1000


def curve_points(found: CrossValidation, photos: FeatureSet) -> Iterator[CurvePoint]:
    """One for each size. The last holds every photo but those of the fold that it is judged by."""
    leaf, species = photos.labels.leaf, photos.labels.species
    breeds = balanced_accuracy(found.guesses == leaf, leaf)
    kinds = balanced_accuracy(photos.taxonomy.leaf_species[found.guesses] == species, species).mean(axis=0)
    trained = trained_on(leaf)
    for m, size in enumerate(found.sizes):
        yield CurvePoint(
            photos=size,
            mean_photos=float(np.minimum(trained, size).mean()),
            classes=int((trained >= size).sum()),
            accuracy=float(breeds[:, m].mean()),
            low=float(breeds[:, m].min()),
            high=float(breeds[:, m].max()),
            species=float(kinds[m]),
        )


def class_gains(found: CrossValidation, photos: FeatureSet) -> tuple[ClassGain, ...]:
    """Of every class, the largest first; of equals, the class of lower recall."""
    leaf = photos.labels.leaf
    right = (found.guesses[:, -1] == leaf).mean(axis=0)
    gained = right - found.right_without.mean(axis=0)
    gains, trained = [], trained_on(leaf)
    for k, label in enumerate(photos.taxonomy.leaves):
        rows = leaf == k
        gain, interval = _mean_with_interval(gained[rows])
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


def _mean_with_interval(values: np.ndarray) -> tuple[float, tuple[float, float]]:
    means, intervals = estimate(lambda w: {"gain": w @ values / len(values)}, len(values), seed=0, resamples=RESAMPLES)
    return means["gain"], intervals["gain"]
