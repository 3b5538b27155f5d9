"""Rank pretrained backbones on some photos by cross-validating linear heads on the features of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.evaluation.metrics.classes import balanced_accuracy, balanced_weights
from hierpets.evaluation.metrics.resampling import mean_difference
from hierpets.planning.costs import TimedBackbone
from hierpets.planning.crossvalidation import cross_validate_sizes, curve_sizes
from hierpets.planning.photos import extract_features
from hierpets.planning.result import BackboneRank
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry

__all__ = ["EACH", "rank_backbones"]

EACH = 30  # at most so many photos of a class are used to compare backbones
REPEATS = 3
RESAMPLES = 1000


class _Judged(NamedTuple):
    """A backbone, how often heads on its features are right about each photo, float [N], and its milliseconds per
    photo.
    """

    name: str
    right: np.ndarray
    milliseconds: float


def rank_backbones(
    backbones: Iterable[TimedBackbone],
    photos: PhotoIndex,
    config: TrainConfig,
    registry: Registry,
    *,
    progress: Progress,
) -> tuple[BackboneRank, ...]:
    """Rank backbones from the best to the worst, each with its paired difference from the best.

    The fastest of those that the best does not significantly beat, at 95%, is advised: a difference that may be chance
    is no reason to wait longer.
    """
    judged = []
    labels = photos.labels()
    leaf, everything = np.array(labels.leaf), curve_sizes(labels)[-1:]
    for prepared in backbones:
        features = extract_features(photos, prepared.extractor, config, registry, progress=progress)
        found = cross_validate_sizes(features, everything, repeats=REPEATS, progress=no_progress)
        right = (found.guesses[:, 0] == leaf).mean(axis=0)
        judged.append(_Judged(str(prepared.choice), right, 1000 * prepared.seconds))
    return tuple(_ranked(judged, leaf, labels.groups))


def _ranked(judged: list[_Judged], leaf: np.ndarray, groups: np.ndarray | None) -> Iterator[BackboneRank]:
    """Sort by mean recall of the classes; ``leaf`` is int [N], ``groups`` as in :class:`Labels`."""
    scores = {one.name: float(balanced_accuracy(one.right, leaf)) for one in judged}
    ordered = sorted(judged, key=lambda one: -scores[one.name])
    best, *others = ordered
    intervals = {best.name: (0.0, 0.0)}  # from itself
    weights = balanced_weights(leaf)
    for one in others:
        apart = one.right - best.right
        _, intervals[one.name] = mean_difference(apart, weights, resamples=RESAMPLES, groups=groups)
    fastest = min((one for one in ordered if intervals[one.name][1] >= 0), key=lambda one: one.milliseconds)
    for one in ordered:
        yield BackboneRank(
            backbone=one.name,
            accuracy=scores[one.name],
            difference=scores[one.name] - scores[best.name],
            interval=intervals[one.name],
            milliseconds=one.milliseconds,
            advised=one is fastest,
        )
