"""Orders breeds so that those that are confused with each other are side by side."""

from __future__ import annotations

import numpy as np

from hierpets.evaluation.metrics.classes import divide

__all__ = ["confused_together"]


def confused_together(counts: np.ndarray) -> np.ndarray:
    """Order the classes of a confusion matrix, int [C, C]; return a permutation, int [C].

    It is the optimal leaf order (Bar-Joseph et al. 2001) of average-linkage clustering by how often two classes are
    taken for each other. Without any confusion the order is unchanged.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    rates = divide(counts, counts.sum(axis=1, keepdims=True), 0.0)
    confusion = (rates + rates.T) / 2
    np.fill_diagonal(confusion, 0.0)
    if len(counts) < 3 or not confusion.any():
        return np.arange(len(counts))
    distance = 1.0 - confusion
    np.fill_diagonal(distance, 0.0)
    return leaves_list(linkage(squareform(distance), method="average", optimal_ordering=True))
