"""What may be the animals of a photo, before each is answered."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.files import FoundBox

__all__ = ["MOST", "Candidates", "Finder"]

MOST = 16
"""Animals of a photo: each costs as much as a photo."""


class Finder(IntEnum):
    """What found an animal, what is trusted most first: the places of the network's map, a detector, or a closer look
    at the places alone.
    """

    PLACES = 0
    DETECTOR = 1
    CLOSER_LOOK = 2


class Candidates(NamedTuple):
    """What may be animals, from left to right.

    ``mass`` [N] is how much speaks for each, on a scale of its own for each ``finder`` int [N], a :class:`Finder`.
    ``sure`` bool [N] is whether it is surely a pet, and ``apart`` bool [N, N] whether what is no pet lies between two
    of them.
    """

    boxes: tuple[FoundBox, ...]
    mass: np.ndarray
    sure: np.ndarray
    apart: np.ndarray
    finder: np.ndarray

    @property
    def by_trust(self) -> list[int]:
        """The rows, those that are trusted most first, and of one finder those for which most speaks."""
        return np.lexsort((-self.mass, self.finder)).tolist()

    def box(self, row: int) -> Box:
        """Where one of them is."""
        return self.boxes[row].box

    def where(self, rows: Sequence[int]) -> Candidates:
        """Some of them, from left to right."""
        kept = sorted(rows, key=lambda row: self.box(row).edges)
        boxes = tuple(self.boxes[row] for row in kept)
        return Candidates(boxes, self.mass[kept], self.sure[kept], self.apart[np.ix_(kept, kept)], self.finder[kept])

    def found_by(self, finder: Finder) -> Candidates:
        """The same, found by another."""
        return self._replace(finder=np.full(len(self.boxes), finder))

    def and_those(self, others: Candidates) -> Candidates:
        """These and others of the same photo, among which may be the same animals again."""
        n, m = len(self.boxes), len(others.boxes)
        apart = np.zeros((n + m, n + m), bool)
        apart[:n, :n], apart[n:, n:] = self.apart, others.apart
        mass, sure, finder = (
            np.concatenate(pair)
            for pair in ((self.mass, others.mass), (self.sure, others.sure), (self.finder, others.finder))
        )
        both = Candidates((*self.boxes, *others.boxes), mass, sure, apart, finder)
        return both.where(both.by_trust[:MOST])
