"""How sure is sure enough: thresholds that keep the error rate below alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["conformal_threshold", "fewest_scores", "nonconformity_scores"]


def nonconformity_scores(
    leaf_probability: np.ndarray,
    species_probability: np.ndarray,
    *,
    leaf_right: np.ndarray,
    species_right: np.ndarray,
    gated: np.ndarray,
) -> np.ndarray:
    """For each photo the probability that a level must exceed so that what is returned is right, float [N].

    The prediction is the first of breed and species whose probability exceeds the threshold. ``gated`` photos are never
    predicted at breed level. A right prediction needs nothing (0); a wrong breed must be rolled up, and with a wrong
    species the species too. All arrays are [N]. The score grows as the prediction gets worse, and raising the threshold
    never turns a right prediction wrong: "unknown", the root, is an ancestor of every label.
    """
    stays = ~gated & leaf_right
    rolled_up = np.where(gated, 0.0, leaf_probability)
    return np.where(stays, 0.0, np.where(species_right, rolled_up, np.maximum(rolled_up, species_probability)))


def conformal_threshold(scores: Sequence[float] | np.ndarray, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n ascending calibration scores, 1 where n is too small for alpha.

    A new photo, exchangeable with the n, has a score at or below it with probability at least 1 - alpha. (Vovk et al.,
    "Algorithmic Learning in a Random World", 2005; Angelopoulos and Bates, arXiv:2107.07511, for the correction.)
    """
    rank = math.ceil((len(scores) + 1) * (1 - alpha))
    return float(scores[rank - 1]) if rank <= len(scores) else 1.0


def fewest_scores(alpha: float) -> int:
    """The smallest number of calibration scores that gives a threshold below 1 at ``alpha``: 19 at 0.05."""
    return math.ceil(round(1 / alpha, 9)) - 1
