"""What a model gives for photos that it was not fitted to, as logits until they are calibrated and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hierpets.hierarchy.calibration import Temperatures, fit_temperatures
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

__all__ = ["NEVER", "HeldOutOutputs"]

NEVER = -1e6
"""The logit of a breed that was held out: its probability is zero at any temperature."""


@dataclass(frozen=True)
class HeldOutOutputs:
    """``species_logits`` [N, S], ``leaf_logits`` [N, L] and OOD ``scores`` [N, 2] of N photos, their labels and
    paths.
    """

    paths: tuple[str, ...]
    labels: Labels
    species_logits: np.ndarray
    leaf_logits: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def temperatures(self, taxonomy: Taxonomy) -> Temperatures:
        """One temperature per head, fitted to these photos."""
        return fit_temperatures(
            self.species_logits,
            self.leaf_logits,
            species=self.labels.species,
            leaf=self.labels.leaf,
            taxonomy=taxonomy,
        )

    def where(self, rows: np.ndarray) -> HeldOutOutputs:
        """The photos where ``rows`` (bool [N]) is true, or of those numbers (int [M]), in their order."""
        chosen = np.arange(len(self))[rows]
        return HeldOutOutputs(
            paths=tuple(self.paths[row] for row in chosen),
            labels=replace(self.labels, species=self.labels.species[rows], leaf=self.labels.leaf[rows]),
            species_logits=self.species_logits[rows],
            leaf_logits=self.leaf_logits[rows],
            scores=self.scores[rows],
        )

    def as_unlisted(self, scores: np.ndarray) -> HeldOutOutputs:
        """The same photos as if their breeds were not listed, with OOD ``scores`` [N, 2] that did not know them."""
        leaf = self.leaf_logits.copy()
        leaf[np.arange(len(self)), self.labels.leaf] = NEVER
        return replace(self, leaf_logits=leaf, scores=scores)
