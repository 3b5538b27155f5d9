"""The outputs of a network, and its calibration, which turns them into probabilities. Pure numpy."""

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
    """Outputs of a network for N photos: ``species`` logits [N, S], ``leaf`` logits [N, L], ``scores`` [N, 1 + S]."""

    species: np.ndarray
    leaf: np.ndarray
    scores: np.ndarray

    def where(self, rows: np.ndarray) -> Outputs:
        """The outputs of some photos, selected by a mask (bool [N]) or by indices (int [M])."""
        return Outputs(*(array[rows] for array in self))


@dataclass(frozen=True)
class Calibration:
    """Turns the outputs of one network into probabilities."""

    taxonomy: Taxonomy
    temperatures: Temperatures
    combiner: Combiner

    def with_temperatures(self, temperatures: Temperatures) -> Calibration:
        """The calibration of a network with other temperatures."""
        return replace(self, temperatures=temperatures)

    def joint(self, outputs: Outputs) -> np.ndarray:
        """Calibrated joint probabilities, float64 [N, L]."""
        return self.temperatures.joint(outputs.species, outputs.leaf, self.taxonomy, combiner=self.combiner)

    def certainty(self, outputs: Outputs, leaves: np.ndarray) -> np.ndarray:
        """Probability that the best leaf is right, unlisted breeds considered, float64 [N]; 0 where the best leaf is
        not one of the ``leaves``, bool [L].
        """
        named = named_probabilities(self.joint(outputs), outputs.scores[:, 1:], self.taxonomy)
        return np.where(leaves[named.argmax(axis=1)], named.max(axis=1), 0.0)
