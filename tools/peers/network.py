"""The network that every peer runs: hierpets' backbone and heads as a plain torch module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["BACKBONE", "NetworkSpec", "build_network", "read_spec", "write_network"]

BACKBONE = "tf_efficientnet_lite0"
SPEC_FILE, WEIGHTS_FILE = "network.json", "network.safetensors"


class NetworkSpec(NamedTuple):
    """Labels in the order of the outputs, the columns of each species, and the preprocessing."""

    labels: list[str]
    slices: list[tuple[int, int]]
    size: int
    shorter_side: int
    mean: list[float]
    std: list[float]


def write_network(bundle: str, out: str) -> None:
    """Take the weights of the backbone, and the heads divided by their temperatures, out of a bundle."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from hierpets.bundle.manifest import read_manifest
    from hierpets.model.reader import read_networks
    from hierpets.registry.loading import load_registry

    manifest = read_manifest(Path(bundle))
    network = read_networks(Path(bundle), manifest, load_registry())[-1]
    tree, heads, pre = manifest.taxonomy, network.get_heads(), manifest.preprocess
    weights: dict[str, torch.Tensor] = dict(network.backbone.state_dict())
    for name in ("weight", "bias"):
        # Temperatures divide logits [B, S] and [B, L]: transposed, weights [S, D] and biases [S, 1] are such logits.
        species, leaf = (np.atleast_2d(getattr(head, name).T) for head in (heads.species, heads.leaf))
        for head, values in zip(("species", "leaf"), manifest.temperatures.apply(species, leaf, tree), strict=True):
            array = np.ascontiguousarray(values.T.astype(np.float32))
            weights[f"classifier.{head}.{name}"] = torch.from_numpy(array.squeeze(1) if name == "bias" else array)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, Path(out) / WEIGHTS_FILE)
    spec = NetworkSpec(
        labels=[f"{leaf.species}/{leaf.breed or '-'}" for leaf in tree.leaves],
        slices=[(part.start, part.stop) for part in tree.slices],
        size=pre.size,
        shorter_side=pre.shorter_side,
        mean=list(pre.mean),
        std=list(pre.std),
    )
    (Path(out) / SPEC_FILE).write_text(json.dumps(spec._asdict()))


def read_spec(folder: Path) -> NetworkSpec:
    """What was written of the network in a folder."""
    return NetworkSpec(**json.loads((folder / SPEC_FILE).read_text(encoding="utf-8")))


def build_network(folder: Path) -> Any:
    """float32 [B, 3, size, size] to the logarithms of the calibrated joint probabilities [B, L], ready to infer."""
    import timm
    from safetensors.torch import load_file

    network: Any = timm.create_model(BACKBONE, pretrained=False, num_classes=0)
    network.classifier = _joint_head(network.num_features, read_spec(folder))
    network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return network.eval()


def _joint_head(width: int, spec: NetworkSpec) -> Any:
    import torch
    from torch import nn

    class JointHead(nn.Module):
        """log P(species) + log P(breed | species), as hierpets computes it."""

        def __init__(self) -> None:
            super().__init__()
            self.species = nn.Linear(width, len(spec.slices))
            self.leaf = nn.Linear(width, len(spec.labels))

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            species, leaf = self.species(features).log_softmax(1), self.leaf(features)
            parts = [species[:, n : n + 1] + leaf[:, a:b].log_softmax(1) for n, (a, b) in enumerate(spec.slices)]
            return torch.cat(parts, 1)

    return JointHead()
