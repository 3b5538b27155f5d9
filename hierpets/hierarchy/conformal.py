"""Conformal thresholds, which keep the error rate at or below alpha."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "ScoreGroup",
    "conformal_threshold",
    "fewest_scores",
    "min_alpha",
    "nonconformity_scores",
    "shared_threshold",
]


def nonconformity_scores(probabilities: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The lowest threshold at which the prediction for each photo is right, float [N].

    ``probabilities`` [N, K] are those of K nested answers from the finest to the coarsest, not decreasing along a row;
    ``right`` bool [N, K] says which of them include the label. The prediction is the first answer whose probability
    exceeds the threshold, so the score is the probability of the coarsest wrong answer, or 0 if none is wrong. Raising
    the threshold never turns a right prediction wrong: "unknown", the root, is an ancestor of every label.
    """
    return np.where(right, 0.0, probabilities).max(axis=1)


class ScoreGroup(NamedTuple):
    """Nonconformity scores of photos of one kind, ascending, and the ``share`` of new photos that are exchangeable with
    them. ``promised``: the error rate on this kind alone must not exceed alpha either.
    """

    scores: np.ndarray
    share: float
    promised: bool

    def wrong(self, threshold: float) -> float:
        """Upper bound of the share of photos that are answered wrongly at a threshold."""
        below = int(np.searchsorted(self.scores, threshold, side="right"))
        return (len(self.scores) - below + 1) / (len(self.scores) + 1)


def shared_threshold(groups: Sequence[ScoreGroup], alpha: float) -> float:
    """The lowest threshold at which at most ``alpha`` of new photos are answered wrongly, both of each promised kind
    and of all kinds together, weighted by their shares; 1 if no score is high enough.

    The share of wrong answers of a kind is bounded as in conformal risk control (Angelopoulos et al., ICLR 2024); for
    one kind alone the threshold is that of :func:`conformal_threshold`.
    """
    total = sum(group.share for group in groups)

    def holds(threshold: float) -> bool:
        rates = [group.wrong(threshold) for group in groups]
        # Rates that equal alpha up to a rounding error are allowed.
        allowed = alpha + 1e-12
        promised = all(rate <= allowed for group, rate in zip(groups, rates, strict=True) if group.promised)
        mixed = sum(group.share * rate for group, rate in zip(groups, rates, strict=True))
        return promised and mixed <= allowed * total

    # The error rates do not increase with the threshold, so each ascending list can be bisected.
    first = ((group.scores, bisect_left(group.scores, True, key=holds)) for group in groups)
    return min((float(scores[i]) for scores, i in first if i < len(scores)), default=1.0)


def conformal_threshold(scores: Sequence[float] | np.ndarray, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n ascending calibration scores, 1 where n is too small for alpha.

    A new photo, exchangeable with the n, has a score at or below it with probability at least 1 - alpha. (Vovk et al.,
    "Algorithmic Learning in a Random World", 2005; Angelopoulos and Bates, arXiv:2107.07511, for the correction.)
    """
    rank = max(1, math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9))  # a whole number, but for a rounding error
    return float(scores[rank - 1]) if rank <= len(scores) else 1.0


def fewest_scores(alpha: float) -> int:
    """The smallest number of calibration scores that gives a threshold below 1 at ``alpha``: 19 at 0.05."""
    return math.ceil(round(1 / max(alpha, 1e-12), 9)) - 1  # the inverse of the smallest floats is infinite


def min_alpha(scores: int, share: float = 1.0) -> float:
    """The smallest alpha, rounded up to thousandths, at which ``share * alpha`` allows a threshold below 1 with this
    number of ``scores``: 0.05 with 19 scores and a share of 1.
    """
    return math.ceil(1000 / ((scores + 1) * share)) / 1000
