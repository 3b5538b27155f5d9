"""The nearest neighbors of each photo, and outliers that have none close by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["NEAREST", "Neighbors", "find_neighbors", "find_outliers", "share_with"]

WORKING_MEMORY = 64  # MB of distances at a time
NEAREST = 5  # neighbors that the distance of an outlier is averaged over
FENCE = 2.0  # interquartile ranges above the third quartile
LEAST_RANGE = 0.02  # interquartile range assumed at least: photos of one burst are all equally close


@dataclass(frozen=True)
class Neighbors:
    """``rows`` int64 [N, k], nearest first, without the row itself; ``similarity`` float [N, k], cosines."""

    rows: np.ndarray
    similarity: np.ndarray


def find_neighbors(features: np.ndarray, *, k: int) -> Neighbors:
    """The k nearest rows of each row of features [N, D] by cosine; fewer where N is not above k."""
    from sklearn import config_context
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=min(k, len(features) - 1), metric="cosine").fit(features)
    with config_context(working_memory=WORKING_MEMORY):
        distance, rows = nearest.kneighbors()  # without the row itself
    return Neighbors(rows, 1 - distance)


def share_with(neighbors: Neighbors, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """For each row, the fraction of its neighbors whose label (int [N]) is ``asked`` (int [N]): float64 [N]."""
    return np.asarray((labels[neighbors.rows] == asked[:, None]).mean(axis=1))


def find_outliers(neighbors: Neighbors) -> tuple[np.ndarray, np.ndarray]:
    """``outliers`` bool [N] and ``distance`` float64 [N]: one minus the mean cosine to the five nearest rows.

    The bound is a fence as in Tukey's box plot, so that it follows the data set.
    """
    distance = 1.0 - neighbors.similarity[:, :NEAREST].astype(np.float64).mean(axis=1)
    low, high = np.percentile(distance, [25, 75])
    return distance > high + FENCE * max(high - low, LEAST_RANGE), distance
