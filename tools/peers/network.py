"""The network that every peer runs: hierpets' backbone and heads as a plain torch module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hierpets.bundle.manifest import Manifest
    from hierpets.taxonomy import Taxonomy

__all__ = ["NetworkSpec", "build_network", "read_spec", "write_network"]

SPEC_FILE, WEIGHTS_FILE = "network.json", "network.safetensors"


class NetworkSpec(NamedTuple):
    """The backbone's name in timm, labels in the order of the outputs, columns of each species, and preprocessing."""

    architecture: str
    labels: list[str]
    slices: list[tuple[int, int]]
    size: int
    shorter_side: int
    mean: list[float]
    std: list[float]


def write_network(bundle: str, out: str) -> None:
    """Write the weights of a bundle's backbone, and its heads divided by their temperatures, to a new folder.

    The peers do not have to compute what hierpets adds: scores, and breeds that are known only from pretraining.
    """
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from hierpets.bundle.manifest import read_manifest
    from hierpets.model.reader import read_networks
    from hierpets.registry.loading import load_registry

    manifest = read_manifest(Path(bundle))
    network = read_networks(Path(bundle), manifest, load_registry())[-1]
    tree, heads, pre = _learned_taxonomy(manifest), network.get_heads(), manifest.preprocess
    weights: dict[str, torch.Tensor] = dict(network.backbone.state_dict())
    for name in ("weight", "bias"):
        # `apply` divides logits [B, S] and [B, L]; transposed weights and biases have the same columns as these.
        species, leaf = (np.atleast_2d(getattr(head, name).T) for head in (heads.species, heads.leaf))
        for head, values in zip(("species", "leaf"), manifest.temperatures.apply(species, leaf, tree), strict=True):
            array = np.ascontiguousarray(values.T.astype(np.float32))
            weights[f"classifier.{head}.{name}"] = torch.from_numpy(array.squeeze(1) if name == "bias" else array)
    folder = Path(out)
    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS_FILE)
    backbone = manifest.backbone
    spec = NetworkSpec(
        architecture=backbone.options.get("model", f"tf_{backbone.name}"),
        labels=[f"{leaf.species}/{leaf.breed or '-'}" for leaf in tree.leaves],
        slices=[(part.start, part.stop) for part in tree.slices],
        size=pre.size,
        shorter_side=pre.shorter_side,
        mean=list(pre.mean),
        std=list(pre.std),
    )
    (folder / SPEC_FILE).write_text(json.dumps(spec._asdict()))


def _learned_taxonomy(manifest: Manifest) -> Taxonomy:
    """Return the taxonomy of the classes that the heads have columns for."""
    from hierpets.taxonomy import Taxonomy

    pairs = zip(manifest.taxonomy.leaves, manifest.learned, strict=True)
    learned = [leaf for leaf, taught in pairs if taught]
    return Taxonomy(
        tree={
            species: tuple(leaf.breed for leaf in learned if leaf.species == species and leaf.breed is not None)
            for species in manifest.taxonomy.species
        }
    )


def read_spec(folder: Path) -> NetworkSpec:
    """Read the spec of the network in a folder."""
    return NetworkSpec(**json.loads((folder / SPEC_FILE).read_text(encoding="utf-8")))


def build_network(folder: Path) -> Any:
    """Build the network, which maps float32 [B, 3, size, size] to calibrated log joint probabilities [B, L], for
    inference.
    """
    import timm
    from safetensors.torch import load_file

    spec = read_spec(folder)
    network: Any = timm.create_model(spec.architecture, pretrained=False, num_classes=0)
    network.classifier = _joint_head(network.num_features, spec)
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
