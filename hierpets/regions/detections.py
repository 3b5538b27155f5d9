"""From what a detector says of a few thousand boxes to those that may be animals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import MOST, Candidates, Finder
from hierpets.regions.files import FoundBox

__all__ = [
    "LARGE",
    "LEAST_SCORE",
    "LEAST_SIDE",
    "SHARED",
    "detected",
    "is_beside",
    "non_maximum_suppression",
    "small_animal",
]

LEAST_SCORE = 0.2  # probability of an animal
SHARED = 0.5  # of the smaller box, above which two show one thing
LEAST_SIDE = 0.01  # of the photo
LARGE = 0.5  # share of the photo, from which on a closer look shows little more (docs/experiments.md)


def detected(edges: np.ndarray, scores: np.ndarray) -> Candidates:
    """What may be animals, by boxes' upper, left, lower and right ``edges`` [N, 4] and ``scores`` [N], from 0 to 1."""
    found = non_maximum_suppression(edges, scores, least=LEAST_SCORE, most=MOST)
    n = len(found)
    mass = np.array([one.score for one in found], float)
    return Candidates(tuple(found), mass, np.ones(n, bool), np.zeros((n, n), bool), np.full(n, Finder.DETECTOR)).where(
        range(n)
    )


def non_maximum_suppression(edges: np.ndarray, scores: np.ndarray, *, least: float, most: int) -> list[FoundBox]:
    """The boxes whose score is at ``least`` so high, the likeliest first, so many at ``most``; of those on one place
    the likeliest alone. Arguments as those of :func:`detected`.
    """
    found: list[FoundBox] = []
    for one in _likeliest(edges, scores, least):
        if all(one.box.shared(other.box) <= SHARED for other in found):
            found.append(one)
            if len(found) == most:
                break
    return found


def small_animal(edges: np.ndarray, scores: np.ndarray) -> Box | None:
    """The likeliest of the boxes, where it may be an animal that takes little of the photo; arguments as those of
    :func:`detected`.
    """
    likeliest = next(_likeliest(edges, scores, LEAST_SCORE), None)
    return likeliest.box if likeliest is not None and likeliest.box.area < LARGE else None


def is_beside(edges: np.ndarray, scores: np.ndarray, others: np.ndarray) -> bool:
    """Whether what may be an animal by its ``scores`` [N] shares little with the likeliest of ``others`` [N]; false
    where none of those may be one.
    """
    other = next(_likeliest(edges, others, LEAST_SCORE), None)
    if other is None:
        return False
    return any(one.box.shared(other.box) <= SHARED for one in _likeliest(edges, scores, LEAST_SCORE))


def _likeliest(edges: np.ndarray, scores: np.ndarray, least: float) -> Iterator[FoundBox]:
    """The boxes that may be animals, the likeliest first, down to the ``least`` score."""
    for row in np.argsort(-scores, kind="stable").tolist():
        if scores[row] < least:
            return
        top, left, bottom, right = edges[row].clip(0, 1).tolist()
        if min(right - left, bottom - top) >= LEAST_SIDE:
            yield FoundBox(Box.between(left, top, right, bottom), float(scores[row]))
