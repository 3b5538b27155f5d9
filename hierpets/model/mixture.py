"""Mix what the breed head and the pretrained head say of breeds, and of breeds that neither knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from hierpets.hierarchy.policy import Population
from hierpets.hierarchy.probabilities import Combiner
from hierpets.model.ood import SIGNALS, Evidence
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.pretrained_head import PRETRAINED_TEMPERATURE

__all__ = ["GATE_CLASSES", "BreedGate", "BreedMixture", "SpeciesWeights"]

GATE_CLASSES: tuple[Population, ...] = ("trained", "pretrained", "unlisted")

MIN_PROBABILITY = 1e-12  # floor of probabilities before taking logarithms
IMPOSSIBLE_LOGIT = -1e4  # gives a probability of zero


class SpeciesWeights(NamedTuple):
    """Weights of the two terms of the species logits: the logits of the species ``head``, and the log of the
    probability mass that the ``pretrained`` head gives to each species.
    """

    head: float
    pretrained: float


@dataclass(frozen=True)
class BreedGate:
    """One linear classifier per species: does a photo show a trained breed, one that only the pretrained head knows, or
    an unlisted one (:data:`GATE_CLASSES`)?

    ``center`` and ``scale``, float32 [7], standardize the signals; ``weight`` float32 [S, 3, 7] and ``bias`` float32
    [S, 3] apply to standardized signals.
    """

    center: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def closed(cls, species: int) -> BreedGate:
        """Return a gate that always answers "trained": for species of whose other breeds nothing is known."""
        signals = len(SIGNALS)
        bias = np.tile(np.array([0.0, IMPOSSIBLE_LOGIT, IMPOSSIBLE_LOGIT], np.float32), (species, 1))
        weight = np.zeros((species, len(GATE_CLASSES), signals), np.float32)
        return cls(np.zeros(signals, np.float32), np.ones(signals, np.float32), weight, bias)


class BreedMixture(nn.Module):
    """Compute, per species, the probabilities of its leaves, trained and pretrained, and that the breed is listed.

    A :class:`BreedGate` weighs the distributions of the breed head and of the pretrained head; probability that the
    latter gives to a trained breed counts for that breed. One softmax over the logits of both heads would not do: they
    are on different scales, and there are no photos of pretrained breeds to fit them to (docs/experiments.md). With
    ``species_evidence``, :class:`SpeciesWeights` combine what both heads say of the species.
    """

    column: torch.Tensor
    leaf_trained: torch.Tensor
    leaf_species: torch.Tensor
    temperature: torch.Tensor
    shares: torch.Tensor
    class_species: torch.Tensor
    center: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    species_weights: torch.Tensor

    def __init__(
        self,
        *,
        leaves: int,
        species: int,
        breed_classes: int,
        combiner: Combiner,
        species_temperature: float,
        species_evidence: bool,
    ):
        super().__init__()
        self.combiner, self.species_temperature = combiner, species_temperature
        self.species_evidence = species_evidence
        for name in ("column", "leaf_species"):
            self.register_buffer(name, torch.zeros(leaves, dtype=torch.int64))
        self.register_buffer("leaf_trained", torch.ones(leaves, dtype=torch.bool))
        self.register_buffer("temperature", torch.ones(species))
        self.register_buffer("shares", torch.zeros(breed_classes, leaves))
        self.register_buffer("class_species", torch.zeros(breed_classes, dtype=torch.int64))
        for name, value in vars(BreedGate.closed(species)).items():
            self.register_buffer(name, torch.from_numpy(value))
        if species_evidence:
            self.register_buffer("species_weights", torch.tensor([1.0, 0.0]))

    @classmethod
    @torch.no_grad()
    def build(
        cls,
        breeds: PretrainedBreeds,
        gate: BreedGate,
        temperature: np.ndarray,
        *,
        combiner: Combiner = "conditional",
        species_temperature: float = 1.0,
        species_weights: SpeciesWeights | None = None,
    ) -> BreedMixture:
        """Build the mixture for a breed head that has a column for each trained leaf.

        ``temperature`` [S] divides the logits of the breed head, ``species_temperature`` those of the species.
        ``species_weights`` is None where the species logits come from the species head alone.
        """
        tree = breeds.taxonomy
        made = cls(
            leaves=len(tree.leaves),
            species=len(tree.species),
            breed_classes=len(breeds.classes),
            combiner=combiner,
            species_temperature=species_temperature,
            species_evidence=species_weights is not None,
        )
        if species_weights is not None:
            made.species_weights.copy_(torch.tensor(species_weights))
        trained = np.array([origin == "trained" for origin in breeds.origins])
        column = np.zeros(len(tree.leaves), np.int64)
        column[breeds.trained_columns] = np.arange(len(breeds.trained))
        for name, value in {
            "column": column,
            "leaf_trained": trained,
            "leaf_species": tree.leaf_species,
            "temperature": temperature,
            "shares": breeds.shares,
            "class_species": breeds.class_species,
            **vars(gate),
        }.items():
            made.get_buffer(name).copy_(torch.from_numpy(np.asarray(value)))
        return made.eval()

    def forward(self, logits: torch.Tensor, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log P(leaf | species) [B, L], and the probability [B, S] that the breed is listed.

        ``logits`` [B, T] are those of the trained leaves. Combiners other than ``conditional`` compare leaves of
        different species. For them the first result has the scale of the trained leaves' logits, and the probability
        that the breed is listed is divided out, because it says nothing about the species.
        """
        of_trained = (logits[:, self.column] / self.temperature[self.leaf_species]).masked_fill(
            ~self.leaf_trained, IMPOSSIBLE_LOGIT
        )
        own = self._softmax(of_trained, self.leaf_species)
        gate = self._gate(evidence.breed)
        mixed = gate[:, self.leaf_species, 0] * own
        if len(self.shares):
            known = self._softmax(evidence.classes / PRETRAINED_TEMPERATURE, self.class_species) @ self.shares
            mixed = mixed + gate[:, self.leaf_species, 1] * known
        inside = self.leaf_species == torch.arange(len(self.temperature), device=mixed.device)[:, None]
        listed = (mixed[:, None, :] * inside).sum(dim=2).clamp(max=1.0)
        leaf = mixed.clamp(
            min=MIN_PROBABILITY
        ).log()  # not (mixed + MIN_PROBABILITY): the ONNX exporter drops such a small summand
        if self.combiner != "conditional":
            level = self._level(of_trained, self.leaf_species) - listed.clamp(min=MIN_PROBABILITY).log()
            leaf = leaf + level[:, self.leaf_species]
        return leaf, listed

    def mix_species(self, logits: torch.Tensor, evidence: Evidence) -> torch.Tensor:
        """Return species logits [B, S] that combine those of the species head with the pretrained head's evidence."""
        if not self.species_evidence:
            return logits
        return self.species_weights[0] * logits + self.species_weights[1] * evidence.species

    def most_probable(self, species: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
        """Return scores [B, S] whose maximum is at the most probable species.

        ``species`` [B, S] are logits from :meth:`mix_species`, ``leaf`` [B, L] those from :meth:`forward`.
        """
        if self.combiner == "conditional":
            return species
        level = self._level(leaf, self.leaf_species)
        return level if self.combiner == "flat" else level + species / self.species_temperature

    def _gate(self, signals: torch.Tensor) -> torch.Tensor:
        """Return the probabilities [B, S, 3] of :data:`GATE_CLASSES` from signals [B, S, 7]."""
        standard = (signals - self.center) / self.scale
        return ((standard[:, :, None, :] * self.weight).sum(dim=3) + self.bias).softmax(dim=2)

    def _softmax(self, logits: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Return the softmax of logits [B, N] within each species; ``species`` int [N] is that of each column."""
        return (logits - self._level(logits, species)[:, species]).exp()

    def _level(self, logits: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Return the log-sum-exp [B, S] of the logits [B, N] of each species."""
        inside = species == torch.arange(len(self.temperature), device=logits.device)[:, None]
        return logits[:, None, :].masked_fill(~inside, 10 * IMPOSSIBLE_LOGIT).logsumexp(dim=2)
