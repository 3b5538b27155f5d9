"""Take a second look at held-out photos, as the model does in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierpets.data.records import PhotoIndex
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.probabilities import Combiner
from hierpets.hierarchy.second_look import is_doubtful
from hierpets.taxonomy import Taxonomy
from hierpets.training.outputs import HeldOutOutputs, fit_pet_threshold

__all__ = ["SecondLooks"]


@dataclass(frozen=True)
class SecondLooks:
    """Which held-out photos are doubtful after a first look, and what both looks at them say.

    Thresholds, and the error rate that they promise, are fitted to both looks as one procedure. ``calibration`` is that
    of the first look, and ``pet_threshold`` its pet score threshold.
    """

    calibration: Calibration
    pet_threshold: float

    @classmethod
    def after(
        cls, first: HeldOutOutputs, unlisted: HeldOutOutputs | None, *, taxonomy: Taxonomy, combiner: Combiner
    ) -> SecondLooks:
        """Fit the calibration and the threshold to a ``first`` look, and to one at photos of ``unlisted`` breeds."""
        calibration = Calibration(taxonomy, first.temperatures(taxonomy, unlisted), combiner)
        return cls(calibration, fit_pet_threshold(first, unlisted, taxonomy))

    def wanted(self, first: HeldOutOutputs) -> np.ndarray:
        """Return the photos that need a second look, bool [N]."""
        return is_doubtful(first.outputs, self.calibration, pet_threshold=self.pet_threshold)

    def __call__(
        self,
        photos: PhotoIndex,
        first: HeldOutOutputs,
        features: Callable[[Sequence[str]], np.ndarray],
        ask: Callable[[PhotoIndex, np.ndarray], HeldOutOutputs],
    ) -> HeldOutOutputs:
        """Return the outputs of both looks combined.

        ``features`` returns those of the second look at paths, with rows of zeros where there is none to take. ``ask``
        returns a network's outputs for photos with their features.
        """
        rows = np.flatnonzero(self.wanted(first))
        if not len(rows):
            return first
        closer = features([photos.paths[row] for row in rows])
        seen = closer.any(axis=1)
        chosen = replace(photos, records=tuple(photos.records[row] for row in rows[seen]))
        return first.with_second_look(ask(chosen, closer[seen]), rows[seen])
