"""Photos too alike to be of two animals, such as those of a burst: found by their features, within each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.progress import Progress, no_progress
from hierpets.training.features.extractor import VIEWS, FeatureExtractor
from hierpets.training.features.unit import unit_rows

__all__ = [
    "find_individuals",
    "individuals_by_likeness",
    "join_rows",
    "likeness_of_shots",
    "look_for_individuals",
]

# Of the distance between a photo and its corner. Chosen on Oxford-IIIT Pet (docs/experiments.md).
TOO_ALIKE = 1.5
MOST_PHOTOS = 20_000  # whose features are held in memory
ASKED = 200  # photos that show how far a corner is from the whole
BLOCK = 1024  # rows that are compared at a time
MOST_STRANGERS = 0.02  # of pairs of photos of different classes: hardly any for a backbone that tells them apart


def look_for_individuals(
    index: PhotoIndex, extractor: FeatureExtractor, config: TrainConfig, *, progress: Progress = no_progress
) -> dict[str, str]:
    """The individuals of photos of which the data states none, as :func:`individuals_by_likeness`, where the settings
    want them found; none among more photos than :data:`MOST_PHOTOS`, nor by a tuned backbone, whose folds are given.
    """
    unstated = index.where(lambda record: record.individual is None)
    if config.backbone_weights is not None or not config.find_individuals or not 0 < len(unstated) <= MOST_PHOTOS:
        return {}
    features = extractor.features(unstated.paths)
    within = likeness_of_shots(extractor, unstated.paths, features, progress=progress)
    return individuals_by_likeness(unstated, features, within=within)


def individuals_by_likeness(index: PhotoIndex, features: np.ndarray, *, within: float) -> dict[str, str]:
    """By path, a name for the individual of each photo that is too alike to another of its class, as
    :func:`find_individuals`. Photos whose individual the data states are left as they are: likeness would know it no
    better. ``features`` float [N, D].
    """
    unstated = np.flatnonzero([record.individual is None for record in index.records])
    numbers = find_individuals(features[unstated], index.labels().classes[unstated], within=within).tolist()
    photos = Counter(numbers)
    numbered = zip(unstated.tolist(), numbers, strict=True)
    return {index.records[row].path: f"found {number}" for row, number in numbered if photos[number] > 1}


def likeness_of_shots(
    extractor: FeatureExtractor, paths: Sequence[str], features: np.ndarray, *, progress: Progress = no_progress
) -> float:
    """The cosine distance below which photos are too alike to be of two animals.

    What a distance means depends on the backbone, so it is measured against what a second shot might be: a corner of
    the same photo. ``features`` [N, D] are those of ``paths``, some of which are asked.
    """
    drawn = np.random.default_rng(0).permutation(len(paths))[:ASKED]
    corners = extractor.features(
        [paths[row] for row in drawn], VIEWS["crops"][1:2], task="features (corners)", progress=progress
    )
    distances = 1 - (unit_rows(features[drawn]) * unit_rows(corners)).sum(axis=1)
    return TOO_ALIKE * float(np.median(distances))


def find_individuals(features: np.ndarray, classes: np.ndarray, *, within: float) -> np.ndarray:
    """int64 [N]: one number for all photos of a class that a cosine distance below ``within`` joins, directly or
    through others; every other photo has a number of its own. ``features`` float [N, D], ``classes`` int [N].

    Of a backbone to which many photos of different classes are as alike, nothing is believed.
    """
    unit = unit_rows(features)
    if _strangers_within(unit, classes, within) > MOST_STRANGERS:
        return np.arange(len(unit))
    links = [np.empty((2, 0), np.int64)]
    for one in np.unique(classes):
        rows = np.flatnonzero(classes == one)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            near, far = np.nonzero(1 - unit[part] @ unit[rows].T < within)
            links.append(np.stack([part[near], rows[far]]))
    return join_rows(np.concatenate(links, axis=1), len(unit))


def join_rows(links: np.ndarray, count: int) -> np.ndarray:
    """int64 [count]: one number for all rows that ``links`` int [2, M] join, directly or through others."""
    graph = coo_array((np.ones(links.shape[1], bool), tuple(links)), shape=(count, count))
    numbers: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def _strangers_within(unit: np.ndarray, classes: np.ndarray, within: float) -> float:
    """The share of pairs of photos of different classes, among some drawn, that lie within the distance."""
    drawn = np.random.default_rng(0).permutation(len(unit))[:BLOCK]
    strangers = classes[drawn, None] != classes[drawn]
    return float((1 - unit[drawn] @ unit[drawn].T < within)[strangers].mean()) if strangers.any() else 0.0
