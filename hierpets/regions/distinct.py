"""Which candidates are distinct animals, by the predictions for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hierpets.regions.candidates import Candidates, Finder

__all__ = ["keep_distinct"]

# Chosen on composites, single photos and close-ups of Oxford-IIIT Pet's trainval part (docs/regions.md).
MIN_BREED = 0.2  # lowest probability of the best breed of a second animal
MIN_BREED_CLOSER = 0.6  # the same for one that only a closer look found
SAME_BREED = 0.002  # probability that two show the same breed above which they count as one animal
MAX_OVERLAP = 0.3  # overlap, as a share of the smaller box, above which two count as one animal
INSIDE = 0.6  # share of a part that lies in the box of the whole animal
SURE_BREED = 0.8  # lowest probability of the best breeds of two animals in one detection


def keep_distinct(candidates: Candidates, answers: Sequence[np.ndarray | None]) -> list[int]:
    """The rows of ``candidates`` that are distinct animals, from left to right.

    ``answers`` are the leaf probabilities [L] predicted for each candidate by itself, None for one that is no pet. Of
    two candidates that are one animal, the more trusted one is kept. An animal that is the only one inside a detection
    is replaced by that detection, which shows all of it.
    """
    return sorted(_Selection(candidates, answers).rows())


class _Selection:
    """Selects the distinct animals among the candidates of one photo."""

    def __init__(self, candidates: Candidates, answers: Sequence[np.ndarray | None]):
        self._candidates = candidates
        self._answers = {row: answer for row, answer in enumerate(answers) if answer is not None}
        pets = [row for row in candidates.by_trust if row in self._answers]
        parts = [row for row in pets if candidates.sure[row] and self._is_breed(row)]
        self._animals = [row for row in pets if not self._is_group(row, parts)]
        detections = [row for row in self._animals if candidates.finder[row] == Finder.DETECTOR]
        self._whole = {row: self._find_whole(row, detections) for row in self._animals}

    def rows(self) -> list[int]:
        kept: list[int] = []
        for row in self._animals:
            first = not kept and self._candidates.finder[row] != Finder.CLOSER_LOOK
            if (first or self._is_breed(row)) and not any(self._are_one(row, other) for other in kept):
                kept.append(row)
        parts = Counter(self._whole[row] for row in kept)
        wholes = ((row, self._whole[row]) for row in kept)
        return [row if whole is None or parts[whole] > 1 else whole for row, whole in wholes]

    def _best(self, row: int) -> float:
        return float(self._answers[row].max())

    def _is_breed(self, row: int) -> bool:
        """Whether one breed is probable: a candidate that could be many is a part of an animal, such as half a face."""
        closer = self._candidates.finder[row] == Finder.CLOSER_LOOK
        return self._best(row) >= (MIN_BREED_CLOSER if closer else MIN_BREED)

    def _is_group(self, row: int, parts: Sequence[int]) -> bool:
        """Whether its box holds at least two animals."""
        inside = [self._candidates.box(part) for part in parts if self._lies_in(part, row)]
        return any(one.overlap(other) <= MAX_OVERLAP for one, other in combinations(inside, 2))

    def _find_whole(self, row: int, detections: Sequence[int]) -> int | None:
        """The smallest detection that it lies in, or itself if it is a detection; None if there is none."""
        if row in detections:
            return row
        around = (other for other in detections if self._lies_in(row, other))
        return min(around, key=lambda other: self._candidates.box(other).area, default=None)

    def _lies_in(self, row: int, other: int) -> bool:
        return self._candidates.box(row).inside(self._candidates.box(other)) > INSIDE

    def _are_one(self, row: int, other: int) -> bool:
        wholes = self._whole[row], self._whole[other]
        one_detection = wholes[0] is not None and wholes[0] == wholes[1]
        if self._candidates.apart[row, other] and not one_detection:
            return False
        if self._candidates.box(row).overlap(self._candidates.box(other)) > MAX_OVERLAP:
            return True
        if one_detection and min(self._best(row), self._best(other)) < SURE_BREED:
            return True
        two_detections = None not in wholes and not one_detection
        return not two_detections and float(self._answers[row] @ self._answers[other]) > SAME_BREED
