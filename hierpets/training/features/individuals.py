"""Find photos of the same animal, such as a burst, by the similarity of their features within a class."""

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

# Relative to the distance between a photo and its corner. Chosen on Oxford-IIIT Pet (docs/experiments.md).
TOO_ALIKE = 1.5
MAX_PHOTOS = 20_000  # limited by memory for their features
SAMPLED = 200  # photos by which the distance between a photo and its corner is measured
BLOCK = 1024  # rows compared at a time
# Share of pairs of photos of different classes that may be too alike: hardly any if the backbone tells classes apart.
MAX_STRANGERS = 0.02


def look_for_individuals(
    index: PhotoIndex, extractor: FeatureExtractor, config: TrainConfig, *, progress: Progress = no_progress
) -> dict[str, str]:
    """Find the individuals of photos for which the data states none, as :func:`individuals_by_likeness` does.

    Returns none if the settings turn this off, for more than :data:`MAX_PHOTOS` photos, or with a tuned backbone,
    whose folds are given.
    """
    unstated = index.where(lambda record: record.individual is None)
    if config.backbone_weights is not None or not config.find_individuals or not 0 < len(unstated) <= MAX_PHOTOS:
        return {}
    features = extractor.features(unstated.paths)
    within = likeness_of_shots(extractor, unstated.paths, features, progress=progress)
    return individuals_by_likeness(unstated, features, within=within)


def individuals_by_likeness(index: PhotoIndex, features: np.ndarray, *, within: float) -> dict[str, str]:
    """Return a name, by path, for the individual of each photo that :func:`find_individuals` joins to another.

    Photos whose individual the data states are left out: similarity would know no better. ``features`` float [N, D].
    """
    unstated = np.flatnonzero([record.individual is None for record in index.records])
    numbers = find_individuals(features[unstated], index.labels().classes[unstated], within=within).tolist()
    photos = Counter(numbers)
    numbered = zip(unstated.tolist(), numbers, strict=True)
    return {index.records[row].path: f"found {number}" for row, number in numbered if photos[number] > 1}


def likeness_of_shots(
    extractor: FeatureExtractor, paths: Sequence[str], features: np.ndarray, *, progress: Progress = no_progress
) -> float:
    """Measure the cosine distance below which two photos are too alike to show two animals.

    What a distance means depends on the backbone, so the limit is relative to the distance between a photo and a corner
    of it, a stand-in for a second shot. ``features`` [N, D] are those of ``paths``, of which some are sampled.
    """
    drawn = np.random.default_rng(0).permutation(len(paths))[:SAMPLED]
    corners = extractor.features(
        [paths[row] for row in drawn], VIEWS["crops"][1:2], task="features (corners)", progress=progress
    )
    distances = 1 - (unit_rows(features[drawn]) * unit_rows(corners)).sum(axis=1)
    return TOO_ALIKE * float(np.median(distances))


def find_individuals(features: np.ndarray, classes: np.ndarray, *, within: float) -> np.ndarray:
    """Number the individuals in N photos, int64 [N].

    Photos of a class get the same number if a chain of photos joins them whose cosine distances are all below
    ``within``; every other photo has a number of its own. So has every photo if many pairs of different classes are
    that close, too: then the backbone's distances tell nothing. ``features`` float [N, D], ``classes`` int [N].
    """
    unit = unit_rows(features)
    if _strangers_within(unit, classes, within) > MAX_STRANGERS:
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
    """Number the connected components of ``count`` rows, int64 [count], that ``links`` int [2, M] join in pairs."""
    graph = coo_array((np.ones(links.shape[1], bool), tuple(links)), shape=(count, count))
    numbers: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def _strangers_within(unit: np.ndarray, classes: np.ndarray, within: float) -> float:
    """Return the share of pairs of photos of different classes, in a sample, that are closer than ``within``."""
    drawn = np.random.default_rng(0).permutation(len(unit))[:BLOCK]
    strangers = classes[drawn, None] != classes[drawn]
    return float((1 - unit[drawn] @ unit[drawn].T < within)[strangers].mean()) if strangers.any() else 0.0
