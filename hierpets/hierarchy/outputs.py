"""What a network gives for photos, and the probabilities that its calibration makes of it. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.decision import named_probabilities
from hierpets.hierarchy.probabilities import Combiner
from hierpets.taxonomy import Taxonomy

__all__ = ["Calibration", "Outputs"]


class Outputs(NamedTuple):
    """What a network gives for N photos: ``species`` logits [N, S], ``leaf`` logits [N, L], ``scores`` [N, 1 + S]."""

    species: np.ndarray
    leaf: np.ndarray
    scores: np.ndarray

    def where(self, rows: np.ndarray) -> Outputs:
        """Those of the photos where ``rows`` (bool [N]) is true, or of those numbers (int [M])."""
        return Outputs(*(array[rows] for array in self))


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of the outputs of one network."""

    taxonomy: Taxonomy
    temperatures: Temperatures
    combiner: Combiner

    def with_temperatures(self, temperatures: Temperatures) -> Calibration:
        """The same, of a network with other temperatures."""
        return replace(self, temperatures=temperatures)

    def joint(self, outputs: Outputs) -> np.ndarray:
        """Calibrated joint probabilities float64 [N, L]."""
        return self.temperatures.joint(outputs.species, outputs.leaf, self.taxonomy, combiner=self.combiner)

    def certainty(self, outputs: Outputs, leaves: np.ndarray) -> np.ndarray:
        """The probability that the best leaf is right, other breeds than those listed considered: float64 [N]; 0 where
        it is none of those ``leaves``, bool [L].
        """
        named = named_probabilities(self.joint(outputs), outputs.scores[:, 1:], self.taxonomy)
        return np.where(leaves[named.argmax(axis=1)], named.max(axis=1), 0.0)
