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
    """``species_logits`` [N, S], ``leaf_logits`` [N, L] and ``scores`` [N, 1 + S] of N photos, their labels and paths.

    ``leaf_calibrated``: the leaf logits are the logarithms of calibrated probabilities within each species. ``by_main``
    bool [N]: which the main network answered; None: all.
    """

    paths: tuple[str, ...]
    labels: Labels
    species_logits: np.ndarray
    leaf_logits: np.ndarray
    scores: np.ndarray
    leaf_calibrated: bool = False
    by_main: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def waiting(self) -> np.ndarray:
        """bool [N]: the photos that no early network answered."""
        return np.ones(len(self), dtype=bool) if self.by_main is None else self.by_main

    def temperatures(self, taxonomy: Taxonomy) -> Temperatures:
        """One temperature per head that is not calibrated, of the main network: fitted to the photos it answered."""
        rows = self.waiting
        found = fit_temperatures(
            self.species_logits[rows],
            self.leaf_logits[rows],
            species=self.labels.species[rows],
            leaf=self.labels.leaf[rows],
            taxonomy=taxonomy,
        )
        return found.model_copy(update={"breeds": {}}) if self.leaf_calibrated else found

    def where(self, rows: np.ndarray) -> HeldOutOutputs:
        """The photos where ``rows`` (bool [N]) is true, or of those numbers (int [M]), in their order."""
        chosen = np.arange(len(self))[rows]
        return replace(
            self,
            by_main=None if self.by_main is None else self.by_main[rows],
            paths=tuple(self.paths[row] for row in chosen),
            labels=self.labels.where(rows),
            species_logits=self.species_logits[rows],
            leaf_logits=self.leaf_logits[rows],
            scores=self.scores[rows],
        )
