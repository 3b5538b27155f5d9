"""The network: one shared backbone, a species head, one breed head per species."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from hierpets.model.heads import Heads, Linear
from hierpets.model.ood import OODScorer
from hierpets.taxonomy import Taxonomy

__all__ = ["HierarchicalNetwork", "NetworkOutput"]


class NetworkOutput(NamedTuple):
    """``features`` [B, D], ``species`` logits [B, S], ``leaf`` logits [B, L] in the order of the taxonomy.

    ``scores`` [B, 2] are out-of-distribution scores, as a pet and as a known breed; zeros without an OOD scorer.
    """

    features: torch.Tensor
    species: torch.Tensor
    leaf: torch.Tensor
    scores: torch.Tensor


class HierarchicalNetwork(nn.Module):
    """Every head runs for every row, so that a photo's output never depends on its batch.

    ``leaf_head`` holds the breed heads of all species side by side, in leaf order.
    """

    def __init__(self, backbone: nn.Module, feature_dim: int, taxonomy: Taxonomy):
        super().__init__()
        self.taxonomy = taxonomy
        self.backbone = backbone
        self.species_head = nn.Linear(feature_dim, len(taxonomy.species))
        self.leaf_head = nn.Linear(feature_dim, len(taxonomy.leaves))
        self.ood_scorer: OODScorer | None = None

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        """float32 [B, 3, h, w] to logits."""
        return self.forward_head(self.backbone(images))

    def forward_head(self, features: torch.Tensor) -> NetworkOutput:
        """Features [B, D] to all that is computed from them."""
        scores = self.ood_scorer(features) if self.ood_scorer else features.new_zeros(features.shape[0], 2)
        return NetworkOutput(features, self.species_head(features), self.leaf_head(features), scores)

    @torch.no_grad()
    def set_heads(self, heads: Heads) -> None:
        """Copy fitted heads in."""
        for layer, linear in ((self.species_head, heads.species), (self.leaf_head, heads.leaf)):
            layer.weight.copy_(torch.from_numpy(linear.weight))
            layer.bias.copy_(torch.from_numpy(linear.bias))

    def get_heads(self) -> Heads:
        """The heads as arrays."""
        return Heads(species=_as_linear(self.species_head), leaf=_as_linear(self.leaf_head))


def _as_linear(layer: nn.Linear) -> Linear:
    return Linear(layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy())
