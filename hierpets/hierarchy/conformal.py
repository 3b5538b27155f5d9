"""How sure is sure enough: thresholds that keep the error rate below alpha."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

__all__ = ["conformal_threshold", "fewest_scores", "mixed_threshold", "nonconformity_scores"]


def nonconformity_scores(
    breed: np.ndarray, species: np.ndarray, *, breed_right: np.ndarray, species_right: np.ndarray
) -> np.ndarray:
    """For each photo the probability that a level must exceed so that what is returned is right, float [N].

    The prediction is the first of breed and species whose probability exceeds the threshold. A right prediction needs
    nothing (0); a wrong breed must be rolled up, and with a wrong species the species too. All arrays are [N]. The
    score grows as the prediction gets worse, and raising the threshold never turns a right prediction wrong:
    "unknown", the root, is an ancestor of every label.
    """
    return np.where(breed_right, 0.0, np.where(species_right, breed, np.maximum(breed, species)))


def mixed_threshold(listed: Sequence[float], unlisted: Sequence[float], *, share: float, alpha: float) -> float:
    """The least threshold at which at most ``alpha`` of new photos are answered wrongly, where a ``share`` of them is
    exchangeable with those of the scores ``listed`` and the rest with ``unlisted``; and of those listed alone too.
    1 where no score is enough. Both ascend.

    The share of wrong answers is bounded as in conformal risk control (Angelopoulos et al., ICLR 2024), in each group.
    """

    def wrong(threshold: float) -> float:
        rates = [(len(own) - bisect_right(own, threshold) + 1) / (len(own) + 1) for own in (listed, unlisted)]
        return max(rates[0], share * rates[0] + (1 - share) * rates[1])

    # Wrong answers do not increase with the threshold, so that each list can be bisected.
    places = ((own, bisect_left(own, True, key=lambda score: wrong(score) <= alpha)) for own in (listed, unlisted))
    return min((float(own[at]) for own, at in places if at < len(own)), default=1.0)


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
