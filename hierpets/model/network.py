"""The network: a shared backbone, a species head, and one breed head per species."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from hierpets.hierarchy.outputs import Outputs
from hierpets.model.heads import Heads, Linear
from hierpets.model.mixture import BreedMixture
from hierpets.model.ood import Evidence, OODScorer
from hierpets.taxonomy import Taxonomy

__all__ = ["HierarchicalNetwork", "NetworkOutput", "mix"]


class NetworkOutput(NamedTuple):
    """``features`` [B, D], ``species`` logits [B, S] and ``leaf`` logits [B, L] in the order of the taxonomy.

    ``scores`` [B, 1 + S]: the pet score, then the probability per species that the breed is one of its leaves; 0 and 1
    without an OOD scorer. With one, the leaf logits are log-probabilities within each species, and the species logits
    may include the evidence of the pretrained head.
    """

    features: torch.Tensor
    species: torch.Tensor
    leaf: torch.Tensor
    scores: torch.Tensor


class HierarchicalNetwork(nn.Module):
    """A backbone with a species head and the breed heads of all species, and optionally an OOD scorer and a mixture.

    Every head runs for every row, so that a photo's output never depends on its batch. ``leaf_head`` holds the breed
    heads of all species side by side, with ``trained`` outputs in all: by default one per leaf of the taxonomy, fewer
    where some breeds come from pretraining. The OOD scorer and the mixture are either both there or both None.
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
        """Return the output for images float32 [B, 3, h, w]."""
        return self.forward_head(self.backbone(images))

    def forward_head(self, features: torch.Tensor) -> NetworkOutput:
        """Return the output for features [B, D]."""
        species, leaf = self.species_head(features), self.leaf_head(features)
        if self.ood_scorer is None or self.mixture is None:
            return NetworkOutput(features, species, leaf, _no_scores(species))
        evidence = self.ood_scorer(features)
        return NetworkOutput(features, *_mix(self.ood_scorer, self.mixture, species, leaf, evidence))

    @torch.no_grad()
    def set_heads(self, heads: Heads) -> None:
        """Copy fitted heads into the network."""
        for layer, linear in ((self.species_head, heads.species), (self.leaf_head, heads.leaf)):
            layer.weight.copy_(torch.from_numpy(linear.weight))
            layer.bias.copy_(torch.from_numpy(linear.bias))

    def get_heads(self) -> Heads:
        """The heads as arrays."""
        return Heads(species=_as_linear(self.species_head), leaf=_as_linear(self.leaf_head))


def mix(
    scorer: OODScorer, mixture: BreedMixture, species: np.ndarray, logits: np.ndarray, evidence: Evidence
) -> Outputs:
    """Return a network's outputs for N photos, from the results of its heads and OOD scorer.

    These are the species head's logits ``species`` [N, S], the leaf head's ``logits`` [N, T], and the evidence.
    """
    with torch.inference_mode():
        species_logits, leaf_logits = (torch.from_numpy(array.astype(np.float32)) for array in (species, logits))
        return Outputs(*(tensor.numpy() for tensor in _mix(scorer, mixture, species_logits, leaf_logits, evidence)))


def _mix(
    scorer: OODScorer, mixture: BreedMixture, species: torch.Tensor, logits: torch.Tensor, evidence: Evidence
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    leaf, listed = mixture(logits, evidence)
    species = mixture.mix_species(species, evidence)
    pet = scorer.pet_score(evidence.pet, mixture.most_probable(species, leaf))
    return species, leaf, torch.cat([pet[:, None], listed], dim=1)


def _no_scores(species: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros_like(species[:, :1]), torch.ones_like(species)], dim=1)


def _as_linear(layer: nn.Linear) -> Linear:
    return Linear(layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy())
