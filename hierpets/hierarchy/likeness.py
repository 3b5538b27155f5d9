"""How much a photo looks like an animal that is no pet, by the pretrained head of a backbone. Pure numpy.

The logits of pet classes hardly tell a horse from an odd photo of a dog. The logit of the class "horse" does, relative
to its distribution in photos of pets (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property

import numpy as np

from hierpets.validation.strict import PlainName, StrictModel

__all__ = ["OtherAnimal", "likeness_to"]


class OtherAnimal(StrictModel):
    """A class of the pretrained head that shows an animal that is no pet.

    ``weights`` [D] and ``bias`` map the features of a photo to its likeness: the logit of the class minus the mean of
    all logits, standardized by mean and standard deviation over the training photos.
    """

    name: PlainName
    weights: tuple[float, ...]
    bias: float

    def likeness(self, features: np.ndarray) -> float:
        """How much a photo with these features [D] looks like it; 0 on average over training photos, with a standard
        deviation of 1.
        """
        return float(features @ self._weights) + self.bias

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array(self.weights)


def likeness_to(
    names: Collection[str], features: np.ndarray, animals: Iterable[OtherAnimal], *, unknown: float
) -> float:
    """The highest likeness of a photo with these features [D] to any of the ``animals`` with one of these ``names``;
    ``unknown`` if there is none.
    """
    return max((animal.likeness(features) for animal in animals if animal.name in names), default=unknown)
