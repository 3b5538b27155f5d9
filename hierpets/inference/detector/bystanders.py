"""Other animals in a photo, which what suits the one that it is answered with may harm."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from hierpets.errors import ImageError
from hierpets.inference.detector.network import ANIMALS, Detector, known_animals
from hierpets.regions.detections import best_beside

__all__ = ["LEAST_BESIDE", "Bystanders"]

LEAST_BESIDE = 0.03
"""Probability from which on it may be an animal beside another: one in five small cats beside a dog has less, and one
dog in twenty has a cat beside it where there is none (docs/experiments.md)."""


class Bystanders:
    """Looks for animals of a model's ``species`` beside the one that a photo is answered with: by a ``detector``, which
    knows few of them.
    """

    def __init__(self, detector: Detector, species: Sequence[str]):
        self._detector, self._species = detector, tuple(species)

    def __call__(self, read: Callable[[], np.ndarray], of: str, at_risk: Collection[str]) -> list[np.ndarray]:
        """What may be beside an animal ``of`` a species in a photo: for each species ``at_risk`` that is seen the
        probabilities [S] that it is one, or that it is no other animal. ``read`` gives the photo, RGB uint8 [H, W, 3];
        in one that is gone there may be any animal.
        """
        wanted = [name for name in known_animals(self._species) if name in at_risk and name != of]
        if not wanted:
            return []
        try:
            seen = self._detector(read())
        except ImageError:
            return [np.zeros(len(self._species))]
        own = seen.probability([of]) if of in ANIMALS else np.zeros(len(seen.edges))
        scores = {name: best_beside(seen.edges, seen.probability([name]), own, least=LEAST_BESIDE) for name in wanted}
        return [self._species_of(name, score, of) for name, score in scores.items() if score > 0]

    def _species_of(self, name: str, score: float, of: str) -> np.ndarray:
        species = np.zeros(len(self._species))
        species[self._species.index(name)], species[self._species.index(of)] = score, 1.0 - score
        return species
