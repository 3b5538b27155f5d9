"""How much a photo looks like an animal that is no pet, by the head that a backbone was pretrained with. Pure numpy.

What the head gives to pets hardly tells a horse from an odd photo of a dog; what it gives to horses, compared with what
it gives to them in photos of pets, does (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property

import numpy as np

from hierpets.validation.strict import PlainName, StrictModel

__all__ = ["OtherAnimal", "likeness_to"]


class OtherAnimal(StrictModel):
    """A class of the pretrained head that shows an animal that is no pet.

    ``weights`` [D] and ``bias`` make of the features of a photo by how much the logit of the class exceeds the mean of
    all classes, in standard deviations of the training photos from their mean.
    """

    name: PlainName
    weights: tuple[float, ...]
    bias: float

    def likeness(self, features: np.ndarray) -> float:
        """How much a photo looks like it, by its features [D]: training photos have a mean of 0, and a standard
        deviation of 1.
        """
        return float(features @ self._weights) + self.bias

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array(self.weights)


def likeness_to(
    names: Collection[str], features: np.ndarray, animals: Iterable[OtherAnimal], *, unknown: float
) -> float:
    """How much a photo looks like that of some named animals which it looks like most, by its features [D]; ``unknown``
    where none is among ``animals``.
    """
    return max((animal.likeness(features) for animal in animals if animal.name in names), default=unknown)
