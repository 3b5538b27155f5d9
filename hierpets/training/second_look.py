"""How photos that were held out are looked at again, as photos are when the model is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierpets.data.records import PhotoIndex
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.probabilities import Combiner
from hierpets.hierarchy.second_look import is_doubtful
from hierpets.taxonomy import Taxonomy
from hierpets.training.outputs import HeldOutOutputs, least_pet_score

__all__ = ["SecondLooks"]


@dataclass(frozen=True)
class SecondLooks:
    """How photos that leave doubt are looked at again: thresholds and their promise are fitted to both looks as one
    rule. ``calibration`` is that of the first look, and ``least`` the least pet score of a pet by it.
    """

    calibration: Calibration
    least: float

    @classmethod
    def after(
        cls, first: HeldOutOutputs, unlisted: HeldOutOutputs | None, *, taxonomy: Taxonomy, combiner: Combiner
    ) -> SecondLooks:
        """Fitted to a first look at photos, and at those whose breed was held out too."""
        calibration = Calibration(taxonomy, first.temperatures(taxonomy, unlisted), combiner)
        return cls(calibration, least_pet_score(first, unlisted, taxonomy))

    def wanted(self, first: HeldOutOutputs) -> np.ndarray:
        """bool [N]: the photos that are to be looked at again."""
        return is_doubtful(first.outputs, self.calibration, least=self.least)

    def __call__(
        self,
        photos: PhotoIndex,
        first: HeldOutOutputs,
        features: Callable[[Sequence[str]], np.ndarray],
        ask: Callable[[PhotoIndex, np.ndarray], HeldOutOutputs],
    ) -> HeldOutOutputs:
        """What both looks say of photos: ``features`` are those of the second look, by paths, zero where there is none,
        and ``ask`` is what a network says of photos by their features.
        """
        rows = np.flatnonzero(self.wanted(first))
        if not len(rows):
            return first
        closer = features([photos.paths[row] for row in rows])
        seen = closer.any(axis=1)
        chosen = replace(photos, records=tuple(photos.records[row] for row in rows[seen]))
        return first.with_second_look(ask(chosen, closer[seen]), rows[seen])
