"""From what a detector says of a few thousand boxes to those that may be animals."""

from __future__ import annotations

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import MOST, Candidates, Finder
from hierpets.regions.files import FoundBox

__all__ = ["LARGE", "LEAST_SCORE", "LEAST_SIDE", "SHARED", "detected", "small_animal"]

LEAST_SCORE = 0.2  # probability of an animal
SHARED = 0.5  # of the smaller box, above which two show one thing
LEAST_SIDE = 0.01  # of the photo
LARGE = 0.5  # share of the photo, from which on a closer look shows little more (docs/experiments.md)


def detected(edges: np.ndarray, scores: np.ndarray) -> Candidates:
    """What may be animals, by boxes' upper, left, lower and right ``edges`` [N, 4] and ``scores`` [N], from 0 to 1.

    Of boxes on one place the likeliest is kept.
    """
    found: list[FoundBox] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if scores[row] < LEAST_SCORE or len(found) == MOST:
            break
        top, left, bottom, right = edges[row].clip(0, 1).tolist()
        if min(right - left, bottom - top) < LEAST_SIDE:
            continue
        box = Box.between(left, top, right, bottom)
        if all(box.shared(other.box) <= SHARED for other in found):
            found.append(FoundBox(box, float(scores[row])))
    n = len(found)
    mass = np.array([one.score for one in found], float)
    return Candidates(tuple(found), mass, np.ones(n, bool), np.zeros((n, n), bool), np.full(n, Finder.DETECTOR)).where(
        range(n)
    )


def small_animal(edges: np.ndarray, scores: np.ndarray) -> Box | None:
    """The likeliest of the boxes, where it may be an animal that takes little of the photo; arguments as those of
    :func:`detected`.
    """
    found = detected(edges, scores)
    likeliest = next(map(found.box, found.by_trust), None)
    return likeliest if likeliest is not None and likeliest.area < LARGE else None
