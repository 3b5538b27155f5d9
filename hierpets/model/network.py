"""The network: one shared backbone, a species head, one breed head a species."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from hierpets.model.heads import Heads, Linear
from hierpets.model.ood import OODScorer
from hierpets.taxonomy import Taxonomy

__all__ = ["HierarchicalNetwork", "NetworkOutput"]


class NetworkOutput(NamedTuple):
    """``features`` [B, D], ``species`` logits [B, S], ``leaf`` logits [B, L] in the order of the taxonomy.

    ``scores`` [B, 2] say how familiar the photo is, as a pet and as a known breed; noughts without that part.
    """

    features: torch.Tensor
    species: torch.Tensor
    leaf: torch.Tensor
    scores: torch.Tensor


class HierarchicalNetwork(nn.Module):
    """Every head runs for every row, so that a photo's answer never depends on its batch.

    A species without breeds is one leaf whose logit is nought: P(leaf | species) is one whatever the photo.
    """

    def __init__(self, backbone: nn.Module, feature_dim: int, taxonomy: Taxonomy):
        super().__init__()
        self.taxonomy = taxonomy
        self.backbone = backbone
        self.species_head = nn.Linear(feature_dim, len(taxonomy.species))
        self.breed_heads = nn.ModuleList(
            nn.Linear(feature_dim, len(breeds)) if breeds else ZeroLogit() for breeds in taxonomy.tree.values()
        )
        self.ood_scorer: OODScorer | None = None

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        """float32 [B, 3, h, w] to logits."""
        return self.forward_head(self.backbone(images))

    def forward_head(self, features: torch.Tensor) -> NetworkOutput:
        """Features [B, D] to all that is computed from them."""
        species, leaf = self.head_logits(features)
        known = self.ood_scorer(features) if self.ood_scorer else features.new_zeros(features.shape[0], 2)
        return NetworkOutput(features, species, leaf, known)

    def head_logits(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, D] to species logits [B, S] and leaf logits [B, L]."""
        return self.species_head(features), torch.cat([head(features) for head in self.breed_heads], dim=1)

    @torch.no_grad()
    def set_heads(self, heads: Heads) -> None:
        """Copy closed-form heads in; the leaf of a species without breeds has none."""
        _copy(self.species_head, heads.species)
        for head, columns in zip(self.breed_heads, self.taxonomy.slices, strict=True):
            if isinstance(head, nn.Linear):
                _copy(head, Linear(heads.leaf.weight[columns], heads.leaf.bias[columns]))

    def get_heads(self) -> Heads:
        """The heads as arrays, zeros for the leaf of a species without breeds."""
        width = self.species_head.in_features
        rows = [
            _arrays(head)
            if isinstance(head, nn.Linear)
            else Linear(np.zeros((1, width), np.float32), np.zeros(1, np.float32))
            for head in self.breed_heads
        ]
        leaf = Linear(np.concatenate([r.weight for r in rows]), np.concatenate([r.bias for r in rows]))
        return Heads(species=_arrays(self.species_head), leaf=leaf)


class ZeroLogit(nn.Module):
    """The breed head of a species without breeds: one logit, always nought."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.new_zeros(features.shape[0], 1)


def _copy(layer: nn.Linear, linear: Linear) -> None:
    layer.weight.copy_(torch.from_numpy(linear.weight))
    layer.bias.copy_(torch.from_numpy(linear.bias))


def _arrays(layer: nn.Linear) -> Linear:
    return Linear(layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy())
