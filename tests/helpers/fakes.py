"""A tiny network and a registry that builds it: what tests train and bundle in a second."""

from __future__ import annotations

from pathlib import Path

from hierpets.registry.loading import Registry, load_registry
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug", "boxer"), "rabbit": ()})

PLUGIN = """
import torch

from hierpets.plugin import Backbone, Preprocess


def tiny(width: int = 8, pretrained: bool = True) -> Backbone:
    torch.manual_seed(0 if pretrained else 1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, width, 5, stride=4),
        torch.nn.BatchNorm2d(width),
        torch.nn.ReLU(),
        torch.nn.Conv2d(width, 4 * width, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )
    return Backbone(module, feature_dim=16 * width, preprocess=Preprocess(size=32, crop=1.0))
"""


def tiny_registry(folder: Path) -> Registry:
    """A registry.yaml in ``folder`` with the backbone ``tiny`` beside the built-in plugins."""
    (folder / "plugins").mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / "tiny.py").write_text(PLUGIN)
    (folder / "registry.yaml").write_text("plugins:\n  - {name: tiny, kind: backbone, entry: 'plugins/tiny.py:tiny'}\n")
    return load_registry(folder / "registry.yaml")
