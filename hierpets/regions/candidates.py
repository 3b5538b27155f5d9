"""Candidates for the animals in a photo, before each is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.files import FoundBox

__all__ = ["MAX_BOXES", "Candidates", "Finder"]

MAX_BOXES = 16
"""Most animals of a photo: each takes as long as a photo."""


class Finder(IntEnum):
    """How a candidate was found, from the most to the least trusted: by the network's outputs at each place, by a
    detector, or only by a closer look at the places.
    """

    PLACES = 0
    DETECTOR = 1
    CLOSER_LOOK = 2


class Candidates(NamedTuple):
    """N candidates for animals, from left to right.

    ``finder`` int [N] is the :class:`Finder` of each; ``mass`` [N] is the evidence for each, comparable only for the
    same finder. ``sure`` bool [N]: whether it is surely a pet. ``apart`` bool [N, N]: whether a place that is no pet
    lies between two of them.
    """

    boxes: tuple[FoundBox, ...]
    mass: np.ndarray
    sure: np.ndarray
    apart: np.ndarray
    finder: np.ndarray

    @property
    def by_trust(self) -> list[int]:
        """The rows by how much their finder is trusted, then by mass, highest first."""
        return np.lexsort((-self.mass, self.finder)).tolist()

    def box(self, row: int) -> Box:
        """The box of a row."""
        return self.boxes[row].box

    def where(self, rows: Sequence[int]) -> Candidates:
        """The candidates in these rows, from left to right."""
        kept = sorted(rows, key=lambda row: self.box(row).edges)
        boxes = tuple(self.boxes[row] for row in kept)
        return Candidates(boxes, self.mass[kept], self.sure[kept], self.apart[np.ix_(kept, kept)], self.finder[kept])

    def found_by(self, finder: Finder) -> Candidates:
        """The same candidates with another finder."""
        return self._replace(finder=np.full(len(self.boxes), finder))

    def and_those(self, others: Candidates) -> Candidates:
        """These and others of the same photo, up to :data:`MAX_BOXES`; an animal may be in both."""
        n, m = len(self.boxes), len(others.boxes)
        apart = np.zeros((n + m, n + m), bool)
        apart[:n, :n], apart[n:, n:] = self.apart, others.apart
        mass, sure, finder = (
            np.concatenate(pair)
            for pair in ((self.mass, others.mass), (self.sure, others.sure), (self.finder, others.finder))
        )
        both = Candidates((*self.boxes, *others.boxes), mass, sure, apart, finder)
        return both.where(both.by_trust[:MAX_BOXES])
