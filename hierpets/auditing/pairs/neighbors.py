"""The photos most like each photo, and those that are like none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Neighbors", "find_neighbors", "share_with", "unlike_the_rest"]

BLOCK = 512  # rows compared at a time: 512 x 20,000 float32 are 40 MB
NEAREST = 5  # that a photo must have something in common with
FENCE = 2.0  # interquartile ranges above the third quartile
EVEN = 0.02  # drawn or burst photos may all be equally alike; a range below this is taken as this


@dataclass(frozen=True)
class Neighbors:
    """``rows`` int64 [N, k], nearest first, without the row itself; ``similarity`` float32 [N, k], cosines."""

    rows: np.ndarray
    similarity: np.ndarray


def find_neighbors(features: np.ndarray, *, k: int) -> Neighbors:
    """The k nearest rows of each row of features [N, D] by cosine; fewer where N is not above k."""
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)).astype(np.float32)
    k = min(k, len(unit) - 1)
    rows, similarity = [], []
    for start in range(0, len(unit), BLOCK):
        cosines = unit[start : start + BLOCK] @ unit.T
        here = np.arange(len(cosines))
        cosines[here, start + here] = -np.inf  # not its own neighbor
        nearest = np.argpartition(-cosines, max(k - 1, 0), axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(cosines, nearest, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, axis=1)
        rows.append(nearest)
        similarity.append(np.take_along_axis(cosines, nearest, axis=1))
    return Neighbors(np.concatenate(rows), np.concatenate(similarity))


def share_with(neighbors: Neighbors, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """For each row, the share of its neighbors whose label (int [N]) is ``asked`` (int [N]): float64 [N]."""
    return np.asarray((labels[neighbors.rows] == asked[:, None]).mean(axis=1))


def unlike_the_rest(neighbors: Neighbors) -> tuple[np.ndarray, np.ndarray]:
    """``outliers`` bool [N] and ``distance`` float64 [N]: one minus the mean cosine to the five nearest rows.

    The bound is a fence in the manner of Tukey's box plot, so that it follows the set: drawn pets are all alike,
    holiday photos are not.
    """
    distance = 1.0 - neighbors.similarity[:, :NEAREST].astype(np.float64).mean(axis=1)
    low, high = np.percentile(distance, [25, 75])
    return distance > high + FENCE * max(high - low, EVEN), distance
