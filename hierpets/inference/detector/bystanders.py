"""Other animals in a photo, which what suits the one that it is answered with may harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hierpets.inference.detector.network import ANIMALS, Detections, Detector, known_animals
from hierpets.regions.detections import LEAST_SCORE, best_beside

__all__ = ["CLEARLY", "LEAST_BESIDE", "Bystanders"]

LEAST_BESIDE = 0.03
"""Probability from which on it may be an animal beside another: one in five small cats beside a dog has less, and one
dog in twenty has a cat beside it where there is none (docs/experiments.md)."""
CLEARLY = 4.0
"""How many times as probable as the pet another animal must be that is in the same place, such as one before it."""


class Bystanders:
    """Looks for animals of a model's ``species`` beside the one that a photo is answered with: by a ``detector``, which
    knows few of them.
    """

    def __init__(self, detector: Detector, species: Sequence[str]):
        self._detector, self._species = detector, tuple(species)

    def __call__(self, read: Callable[[], np.ndarray], pet: str) -> np.ndarray:
        """For each species the probability that one of it is beside the pet, float [S]; zero for that of the ``pet``
        and where none is seen. ``read`` gives the photo, RGB uint8 [H, W, 3].

        :raises ImageError: it cannot be read.
        """
        others = [name for name in known_animals(self._species) if name != pet]
        seen = self._detector(read()) if others else None
        return np.array([_beside(seen, name, pet) if seen and name in others else 0.0 for name in self._species])


def _beside(seen: Detections, name: str, pet: str) -> float:
    """How probable the likeliest animal is that is beside the pet, or in its place and clearly not the pet."""
    scores = seen.probability([name])
    of_pet = seen.probability([pet]) if pet in ANIMALS else np.zeros(len(scores))
    in_its_place = scores[(scores >= LEAST_SCORE) & (scores >= CLEARLY * of_pet)]
    return max(best_beside(seen.edges, scores, of_pet, least=LEAST_BESIDE), float(in_its_place.max(initial=0.0)))
