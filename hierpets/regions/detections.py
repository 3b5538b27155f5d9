"""Select the boxes that may show animals from the few thousand boxes of a detector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import MAX_BOXES, Candidates, Finder
from hierpets.regions.files import FoundBox

__all__ = [
    "MAX_OVERLAP",
    "MAX_SHARE",
    "MIN_SCORE",
    "MIN_SIDE",
    "detected",
    "is_beside",
    "non_maximum_suppression",
    "small_animal",
]

MIN_SCORE = 0.2  # lowest probability of an animal
MAX_OVERLAP = 0.5  # overlap, as a share of the smaller box, above which two boxes show the same thing
MIN_SIDE = 0.01  # shortest side of a box, as a share of the photo
MAX_SHARE = 0.5  # share of the photo from which on a closer look gains little (docs/experiments.md)


def detected(edges: np.ndarray, scores: np.ndarray) -> Candidates:
    """Candidates by the ``edges`` [N, 4] (top, left, bottom, right) and ``scores`` [N], from 0 to 1, of boxes."""
    found = non_maximum_suppression(edges, scores, min_score=MIN_SCORE, max_boxes=MAX_BOXES)
    n = len(found)
    mass = np.array([one.score for one in found], float)
    return Candidates(tuple(found), mass, np.ones(n, bool), np.zeros((n, n), bool), np.full(n, Finder.DETECTOR)).where(
        range(n)
    )


def non_maximum_suppression(
    edges: np.ndarray, scores: np.ndarray, *, min_score: float, max_boxes: int
) -> list[FoundBox]:
    """Non-maximum suppression: return at most ``max_boxes`` boxes with a score of at least ``min_score``, the likeliest
    first, of which no two overlap much. ``edges`` and ``scores`` are as in :func:`detected`.
    """
    found: list[FoundBox] = []
    for one in _likeliest(edges, scores, min_score):
        if all(one.box.overlap(other.box) <= MAX_OVERLAP for other in found):
            found.append(one)
            if len(found) == max_boxes:
                break
    return found


def small_animal(edges: np.ndarray, scores: np.ndarray) -> Box | None:
    """The likeliest box, if it may show an animal and takes less than half of the photo; else None. Arguments are as in
    :func:`detected`.
    """
    likeliest = next(_likeliest(edges, scores, MIN_SCORE), None)
    return likeliest.box if likeliest is not None and likeliest.box.area < MAX_SHARE else None


def is_beside(edges: np.ndarray, scores: np.ndarray, others: np.ndarray) -> bool:
    """Whether a box that may show an animal by ``scores`` [N] hardly overlaps with the likeliest box by the scores
    ``others`` [N]; False if no box may show an animal by ``others``.
    """
    other = next(_likeliest(edges, others, MIN_SCORE), None)
    if other is None:
        return False
    return any(one.box.overlap(other.box) <= MAX_OVERLAP for one in _likeliest(edges, scores, MIN_SCORE))


def _likeliest(edges: np.ndarray, scores: np.ndarray, min_score: float) -> Iterator[FoundBox]:
    """The boxes with a score of at least ``min_score`` and enough size, the likeliest first."""
    for row in np.argsort(-scores, kind="stable").tolist():
        if scores[row] < min_score:
            return
        top, left, bottom, right = edges[row].clip(0, 1).tolist()
        if min(right - left, bottom - top) >= MIN_SIDE:
            yield FoundBox(Box.between(left, top, right, bottom), float(scores[row]))
