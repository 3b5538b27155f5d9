"""Collect the statistics of photos in one pass over batches of their features."""

from __future__ import annotations

import numpy as np

from hierpets.model.pretrained_head import pretrained_profiles
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.features.feature_set import FeatureSet

__all__ = ["collect_statistics"]


def collect_statistics(
    photos: FeatureSet, pretrained_head: PretrainedHead | None, parts: np.ndarray | None = None
) -> tuple[ClassStatistics, ...]:
    """Return the statistics of each part of the photos; ``parts`` int [N], or None for one part of all photos.

    Photos of part -1 are left out. Memory does not grow with the number of photos.
    """
    part_of = np.zeros(len(photos), np.int64) if parts is None else parts
    names, head = _names(photos.taxonomy), pretrained_head.head if pretrained_head else None
    classes = photos.labels.classes
    found: dict[int, ClassStatistics] = {}
    for batch in photos.batches():
        views = photos.views[batch]
        profiles = pretrained_profiles(head, views)
        for part in np.setdiff1d(part_of[batch], [-1]):
            rows = part_of[batch] == part
            more = ClassStatistics.of(
                views[rows], classes[batch][rows], photos.weights[batch][rows], names, profiles[rows]
            )
            found[int(part)] = found[int(part)] + more if int(part) in found else more
    return tuple(found[part] for part in sorted(found))


def _names(taxonomy: Taxonomy) -> list[Leaf]:
    """Return the leaves, then every species for its photos of unknown breed: the order of ``Labels.classes``."""
    return [*taxonomy.leaves, *(Leaf(name, None) for name in taxonomy.species)]
