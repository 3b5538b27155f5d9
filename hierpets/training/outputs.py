"""The outputs of a model for photos that it was not fitted to, as uncalibrated logits and OOD scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hierpets.hierarchy.calibration import Temperatures, fit_temperature, fit_temperatures
from hierpets.hierarchy.outputs import Outputs
from hierpets.hierarchy.policy import population_shares
from hierpets.hierarchy.second_look import both_looks
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

__all__ = ["HeldOutOutputs", "fit_pet_threshold"]

PET_KEPT = 0.95
"""Share of photos of held-out breeds that must still count as pets. A fifth of the breeds is held out at a time, which
makes them look less like pets than a single unlisted breed does: fewer real pets are refused (docs/experiments.md)."""

PET_KEPT_OF_SPECIES = 0.99
"""The same if no species has breeds: all kinds of a species are in the photos, and no breed can be named wrongly."""


@dataclass(frozen=True)
class HeldOutOutputs:
    """``species_logits`` [N, S], ``leaf_logits`` [N, L] and OOD ``scores`` [N, 1 + S] of N photos, with their labels.

    ``leaf_calibrated``: the leaf logits are the logarithms of calibrated probabilities within each species.
    ``species_calibrated``: the softmax of the species logits is calibrated. ``by_main`` bool [N]: the photos that the
    main network answered, not an early one; None means all.
    """

    paths: tuple[str, ...]
    labels: Labels
    species_logits: np.ndarray
    leaf_logits: np.ndarray
    scores: np.ndarray
    leaf_calibrated: bool = False
    species_calibrated: bool = False
    by_main: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def waiting(self) -> np.ndarray:
        """bool [N]: the photos that no early network answered, which the main network has to."""
        return np.ones(len(self), dtype=bool) if self.by_main is None else self.by_main

    def temperatures(self, taxonomy: Taxonomy, unlisted: HeldOutOutputs | None = None) -> Temperatures:
        """Fit one temperature per uncalibrated head of the main network, to the photos that it answered.

        The temperature of the species is also fitted to photos of ``unlisted`` breeds, weighted by how often they are
        expected in use.
        """
        rows = self.waiting
        found = fit_temperatures(
            self.species_logits[rows],
            self.leaf_logits[rows],
            species=self.labels.species[rows],
            leaf=self.labels.leaf[rows],
            taxonomy=taxonomy,
        )
        species = self._species_temperature(unlisted) if unlisted else found.species
        return Temperatures(
            species=1.0 if self.species_calibrated else species, breeds={} if self.leaf_calibrated else found.breeds
        )

    def _species_temperature(self, unlisted: HeldOutOutputs) -> float:
        own, others = self.where(self.waiting), unlisted.where(unlisted.waiting)
        share = population_shares(())
        odds = share["unlisted"] / share["trained"] * len(own) / max(len(others), 1)
        return fit_temperature(
            np.concatenate([own.species_logits, others.species_logits]),
            np.concatenate([own.labels.species, others.labels.species]),
            weights=np.repeat([1.0, odds], [len(own), len(others)]),
        )

    @property
    def outputs(self) -> Outputs:
        """Logits and scores as the network outputs them."""
        return Outputs(self.species_logits, self.leaf_logits, self.scores)

    def with_second_look(self, closer: HeldOutOutputs, rows: np.ndarray) -> HeldOutOutputs:
        """Combine both looks at the photos ``rows``, int [M]; ``closer`` holds the second look at each of them."""
        species, leaf, scores = both_looks(self.outputs, closer.outputs, rows)
        return replace(self, species_logits=species, leaf_logits=leaf, scores=scores)

    def where(self, rows: np.ndarray) -> HeldOutOutputs:
        """Return the outputs for some photos; ``rows`` is a mask, bool [N], or indices, int [M], in their order."""
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


def fit_pet_threshold(outputs: HeldOutOutputs, unlisted: HeldOutOutputs | None, taxonomy: Taxonomy) -> float:
    """Return the pet score threshold: most photos of unlisted breeds, or without them of ``outputs``, reach it."""
    if unlisted is not None:
        return float(np.quantile(unlisted.scores[:, 0], 1 - PET_KEPT))
    kept = PET_KEPT if taxonomy.is_breed.any() else PET_KEPT_OF_SPECIES
    return float(np.quantile(outputs.scores[:, 0], 1 - kept))
