"""Finds the nearest neighbors of each photo, and outliers, which have none close by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["NEAREST", "Neighbors", "find_neighbors", "find_outliers", "share_with"]

WORKING_MEMORY = 64  # MB of distances at a time
NEAREST = 5  # number of neighbors over which the distance of an outlier is averaged
FENCE = 2.0  # interquartile ranges above the third quartile
MIN_RANGE = 0.02  # minimum interquartile range: the photos of one burst are all equally close


@dataclass(frozen=True)
class Neighbors:
    """``rows`` int64 [N, k], nearest first, without the row itself; ``similarity`` float [N, k], cosines."""

    rows: np.ndarray
    similarity: np.ndarray


def find_neighbors(features: np.ndarray, *, k: int) -> Neighbors:
    """Find the k nearest rows of each row of features [N, D] by cosine; fewer if there are not so many."""
    from sklearn import config_context
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=min(k, len(features) - 1), metric="cosine").fit(features)
    with config_context(working_memory=WORKING_MEMORY):
        distance, rows = nearest.kneighbors()  # without the row itself
    return Neighbors(rows, 1 - distance)


def share_with(neighbors: Neighbors, labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Fraction of each row's neighbors whose label (int [N]) is the row's ``wanted`` one (int [N]); float64 [N]."""
    return np.asarray((labels[neighbors.rows] == wanted[:, None]).mean(axis=1))


def find_outliers(neighbors: Neighbors) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are outliers, bool [N], and their distance, float64 [N]: one minus the mean cosine to the five
    nearest rows.

    The threshold is a fence as in Tukey's box plot, so that it adapts to the data set.
    """
    distance = 1.0 - neighbors.similarity[:, :NEAREST].astype(np.float64).mean(axis=1)
    low, high = np.percentile(distance, [25, 75])
    return distance > high + FENCE * max(high - low, MIN_RANGE), distance
