"""The network that every contestant runs: hierpets' backbone and heads, as a plain module of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["BACKBONE", "Carried", "build_network", "read_carried"]

BACKBONE = "tf_efficientnet_lite0"


class Carried(NamedTuple):
    """What ``prepare carry`` took out of a bundle: labels in the order of the outputs, and the preprocessing."""

    labels: list[str]
    slices: list[tuple[int, int]]
    size: int
    shorter_side: int
    mean: list[float]
    std: list[float]


def read_carried(folder: Path) -> Carried:
    """The description that lies beside the weights."""
    return Carried(**json.loads((folder / "carried.json").read_text(encoding="utf-8")))


def build_network(folder: Path) -> Any:
    """float32 [B, 3, size, size] to the logarithms of the calibrated joint probabilities [B, L], ready to infer."""
    import timm
    from safetensors.torch import load_file

    carried = read_carried(folder)
    network: Any = timm.create_model(BACKBONE, pretrained=False, num_classes=0)
    network.classifier = _joint_head(network.num_features, carried)
    network.load_state_dict(load_file(folder / "network.safetensors"))
    return network.eval()


def _joint_head(width: int, carried: Carried) -> Any:
    import torch
    from torch import nn

    class JointHead(nn.Module):
        """log P(species) + log P(breed | species): the answer of hierpets' heads, their temperatures folded in."""

        def __init__(self) -> None:
            super().__init__()
            self.species = nn.Linear(width, len(carried.slices))
            self.leaf = nn.Linear(width, len(carried.labels))

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            species, leaf = self.species(features).log_softmax(1), self.leaf(features)
            parts = [species[:, n : n + 1] + leaf[:, a:b].log_softmax(1) for n, (a, b) in enumerate(carried.slices)]
            return torch.cat(parts, 1)

    return JointHead()
