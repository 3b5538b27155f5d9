"""The network: one shared backbone, a species head, one breed head per species."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from hierpets.model.heads import Heads, Linear
from hierpets.model.mixture import BreedMixture
from hierpets.model.ood import Evidence, OODScorer
from hierpets.taxonomy import Taxonomy

__all__ = ["HierarchicalNetwork", "NetworkOutput", "mix_breeds"]


class NetworkOutput(NamedTuple):
    """``features`` [B, D], ``species`` logits [B, S], ``leaf`` logits [B, L] in the order of the taxonomy.

    With an OOD scorer the latter are logarithms of probabilities within each species. ``scores`` [B, 1 + S] are the
    pet score, and for each species the probability that the breed is one of its leaves; 0 and 1 without an OOD scorer.
    """

    features: torch.Tensor
    species: torch.Tensor
    leaf: torch.Tensor
    scores: torch.Tensor


class HierarchicalNetwork(nn.Module):
    """Every head runs for every row, so that a photo's output never depends on its batch.

    ``leaf_head`` holds the breed heads of all species side by side: a column for each of ``trained`` leaves, all of the
    taxonomy unless others come from pretraining. The OOD scorer and the mixture come and go together.
    """

    def __init__(self, backbone: nn.Module, feature_dim: int, taxonomy: Taxonomy, trained: int | None = None):
        super().__init__()
        self.taxonomy = taxonomy
        self.backbone = backbone
        self.species_head = nn.Linear(feature_dim, len(taxonomy.species))
        self.leaf_head = nn.Linear(feature_dim, len(taxonomy.leaves) if trained is None else trained)
        self.ood_scorer: OODScorer | None = None
        self.mixture: BreedMixture | None = None

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        """float32 [B, 3, h, w] to logits."""
        return self.forward_head(self.backbone(images))

    def forward_head(self, features: torch.Tensor) -> NetworkOutput:
        """Features [B, D] to all that is computed from them."""
        species, leaf = self.species_head(features), self.leaf_head(features)
        if self.ood_scorer is None or self.mixture is None:
            return NetworkOutput(features, species, leaf, _no_scores(species))
        evidence = self.ood_scorer(features)
        return NetworkOutput(features, species, *_mix(self.ood_scorer, self.mixture, species, leaf, evidence))

    @torch.no_grad()
    def set_heads(self, heads: Heads) -> None:
        """Copy fitted heads in."""
        for layer, linear in ((self.species_head, heads.species), (self.leaf_head, heads.leaf)):
            layer.weight.copy_(torch.from_numpy(linear.weight))
            layer.bias.copy_(torch.from_numpy(linear.bias))

    def get_heads(self) -> Heads:
        """The heads as arrays."""
        return Heads(species=_as_linear(self.species_head), leaf=_as_linear(self.leaf_head))


def mix_breeds(
    scorer: OODScorer, mixture: BreedMixture, species: np.ndarray, logits: np.ndarray, evidence: Evidence
) -> tuple[np.ndarray, np.ndarray]:
    """Log P(leaf | species) [N, L] and scores [N, 1 + S] of N photos, from ``species`` logits [N, S], the logits [N, T]
    of the leaf head and the evidence, as a network computes them.
    """
    with torch.inference_mode():
        of_species, of_leaves = (torch.from_numpy(array.astype(np.float32)) for array in (species, logits))
        leaf, scores = _mix(scorer, mixture, of_species, of_leaves, evidence)
    return leaf.numpy(), scores.numpy()


def _mix(
    scorer: OODScorer, mixture: BreedMixture, species: torch.Tensor, logits: torch.Tensor, evidence: Evidence
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf, listed = mixture(logits, evidence)
    pet = scorer.pet_score(evidence.pet, mixture.species_logits(species, leaf))
    return leaf, torch.cat([pet[:, None], listed], dim=1)


def _no_scores(species: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros_like(species[:, :1]), torch.ones_like(species)], dim=1)


def _as_linear(layer: nn.Linear) -> Linear:
    return Linear(layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy())
