"""Trained breeds, pretrained breeds and breeds that nobody knows, weighed against each other."""

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

LEAST = 1e-12  # a probability whose logarithm is still a number
IMPOSSIBLE_LOGIT = -1e4  # its probability is zero


class SpeciesWeights(NamedTuple):
    """What the logits of the species are made of: so much of those of the ``head``, and so much of the log of the mass
    that the ``pretrained`` head gives to each.
    """

    head: float
    pretrained: float


@dataclass(frozen=True)
class BreedGate:
    """For each species a linear classifier of :data:`GATE_CLASSES`: whether a photo shows a breed that was trained, one
    that the pretrained head alone knows, or neither.

    ``weight`` float32 [S, 3, 7] takes standardized signals, ``bias`` float32 [S, 3]; ``center`` and ``scale`` float32
    [7] standardize them.
    """

    center: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def closed(cls, species: int) -> BreedGate:
        """The gate of species of whose other breeds nothing is known: every photo shows a trained one."""
        signals = len(SIGNALS)
        bias = np.tile(np.array([0.0, IMPOSSIBLE_LOGIT, IMPOSSIBLE_LOGIT], np.float32), (species, 1))
        weight = np.zeros((species, len(GATE_CLASSES), signals), np.float32)
        return cls(np.zeros(signals, np.float32), np.ones(signals, np.float32), weight, bias)


class BreedMixture(nn.Module):
    """For each species the probabilities of its leaves, trained and pretrained, and that the breed is one of them.

    A :class:`BreedGate` weighs the distribution of the breed head and that of the pretrained head; what the latter says
    for a trained breed counts for that breed. One softmax over the logits of both would not do: they do not compare,
    and no photo of a pretrained breed was there to fit them to (docs/experiments.md). With ``species_evidence``,
    :class:`SpeciesWeights` weigh what both heads say of the species.
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
        """The mixture for a head that has a column for each trained leaf; ``temperature`` [S] divides its logits, and
        ``species_temperature`` those of the species. ``species_weights``: None where the pretrained head has no say in
        the species.
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
        """Logits [B, T] of the trained leaves and the evidence for the breed, to log P(leaf | species) [B, L] and the
        probability [B, S] that the breed is listed.

        Combiners that compare leaves of different species get logits that can be: on the scale of those of the trained
        leaves, whatever the probability that the breed is listed, which is no probability of the species.
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
        leaf = mixed.clamp(min=LEAST).log()  # a sum with so little is dropped by the exporter to ONNX
        if self.combiner != "conditional":
            level = self._level(of_trained, self.leaf_species) - listed.clamp(min=LEAST).log()
            leaf = leaf + level[:, self.leaf_species]
        return leaf, listed

    def mix_species(self, logits: torch.Tensor, evidence: Evidence) -> torch.Tensor:
        """Logits [B, S] of the species, of those of the species head and of what the pretrained head says."""
        if not self.species_evidence:
            return logits
        return self.species_weights[0] * logits + self.species_weights[1] * evidence.species

    def most_probable(self, species: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
        """Logits [B, S], the largest that of the most probable species, of logits [B, S] as :meth:`mix_species` gives
        them, and of leaves [B, L] as :meth:`forward` does.
        """
        if self.combiner == "conditional":
            return species
        level = self._level(leaf, self.leaf_species)
        return level if self.combiner == "flat" else level + species / self.species_temperature

    def _gate(self, signals: torch.Tensor) -> torch.Tensor:
        """Signals [B, S, 7] to the probabilities of :data:`GATE_CLASSES` [B, S, 3]."""
        standard = (signals - self.center) / self.scale
        return ((standard[:, :, None, :] * self.weight).sum(dim=3) + self.bias).softmax(dim=2)

    def _softmax(self, logits: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Logits [B, N] to probabilities within the ``species`` int [N] of each column."""
        return (logits - self._level(logits, species)[:, species]).exp()

    def _level(self, logits: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """The log-sum [B, S] of the logits [B, N] of each species."""
        inside = species == torch.arange(len(self.temperature), device=logits.device)[:, None]
        return logits[:, None, :].masked_fill(~inside, 10 * IMPOSSIBLE_LOGIT).logsumexp(dim=2)
