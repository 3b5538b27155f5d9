"""Grad-CAM: which places of the last feature map are evidence for a class.

After Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from hierpets.errors import PluginError
from hierpets.model.network import HierarchicalNetwork, NetworkOutput
from hierpets.plugin import Guard
from hierpets.taxonomy import Taxonomy

__all__ = ["Target", "gradcam"]


@dataclass(frozen=True)
class Target:
    """What to explain: a species by its index, or a leaf by its index."""

    level: Literal["species", "leaf"]
    index: int


def gradcam(
    network: HierarchicalNetwork, image: np.ndarray, *targets: Target, guard: Guard = nullcontext
) -> np.ndarray:
    """Grad-CAM maps of T targets, float32 [T, h, w] in [0, 1]: the last feature map weighted by the evidence for each.

    The maps of a backbone with several networks side by side are added on the finest grid.

    ``image`` float32 [3, size, size] is the network's input. The score of a species is its logit minus the mean of the
    other species, that of a leaf its logit minus the mean of the other breeds of its species: what they have in common
    explains nothing, and a probability near one has almost no gradient. A map without evidence for the target is zero
    everywhere. ``guard`` is that of the network's backbone.

    :raises PluginError: the network fails, or the backbone ends without a spatial map, as transformers over tokens do.
    """
    batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(next(network.parameters()).device)
    with torch.enable_grad(), _record_maps(network.backbone) as recorded:
        with guard():
            output = network(batch.requires_grad_())
        maps = _last_maps(recorded)
        cams = [_weighted(maps, _score(output, target, network.taxonomy)) for target in targets]
    return np.stack(cams)


@dataclass
class _FeatureMaps:
    """The feature maps of a backbone: the last one, those that were pooled, and whether tokens follow."""

    last: torch.Tensor | None = None
    tokens: bool = False
    pooled: list[torch.Tensor] = field(default_factory=list)

    def record(self, output: Any) -> None:
        if not isinstance(output, torch.Tensor):
            return
        if output.ndim == 4 and _is_spatial(output):
            self.last, self.tokens = output, False
        elif output.ndim == 3 and output.shape[1] > 1:
            self.tokens = True
        elif output.ndim == 2 and self.last is not None and not any(self.last is known for known in self.pooled):
            self.pooled.append(self.last)


@contextmanager
def _record_maps(backbone: torch.nn.Module) -> Iterator[_FeatureMaps]:
    """Record the outputs of all modules of a backbone while inside."""
    maps = _FeatureMaps()
    handles = [
        module.register_forward_hook(lambda _m, _i, output: maps.record(output)) for module in backbone.modules()
    ]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _last_maps(maps: _FeatureMaps) -> list[torch.Tensor]:
    """The pooled maps that no later pooled map depends on: one for each network side by side.

    Blocks that reweight their channels also pool a map, but later maps depend on it.
    """
    if maps.last is None or maps.tokens:
        raise PluginError(
            "Grad-CAM needs a backbone that ends in a spatial map [B, C, h, w] or [B, h, w, C]; this one "
            + ("continues with tokens [B, N, C]" if maps.tokens else "gives none")
        )
    final: list[torch.Tensor] = []
    for map_ in reversed(maps.pooled or [maps.last]):
        if not any(_depends(later, map_) for later in final):
            final.append(map_)
    return final


def _depends(later: torch.Tensor, earlier: torch.Tensor) -> bool:
    (gradient,) = torch.autograd.grad(later.sum(), earlier, retain_graph=True, allow_unused=True)
    return gradient is not None


def _is_spatial(tensor: torch.Tensor) -> bool:
    return min(tensor.shape[2], tensor.shape[3]) > 1 or _channels_last(tensor)


def _channels_last(tensor: torch.Tensor) -> bool:
    """Whether the channels are the last axis. Inputs are square, so the two equal axes are the spatial ones."""
    _, a, b, c = tensor.shape
    return b != c and a == b > 1


def _score(output: NetworkOutput, target: Target, taxonomy: Taxonomy) -> torch.Tensor:
    if target.level == "leaf":
        siblings = taxonomy.slices[int(taxonomy.leaf_species[target.index])]
        if siblings.stop - siblings.start > 1:
            return _against_the_others(output.leaf[0, siblings], target.index - siblings.start)
        return _score(output, Target("species", int(taxonomy.leaf_species[target.index])), taxonomy)
    return _against_the_others(output.species[0], target.index)


def _against_the_others(logits: torch.Tensor, index: int) -> torch.Tensor:
    others = torch.cat([logits[:index], logits[index + 1 :]])
    return logits[index] - others.mean() if len(others) else logits[index]


def _weighted(maps: list[torch.Tensor], score: torch.Tensor) -> np.ndarray:
    """The map of one score, float32 [h, w] in [0, 1]: channels weighted by their gradients, negative evidence cut."""
    gradients = torch.autograd.grad(score, maps, retain_graph=True, allow_unused=True)
    parts = [_contribution(a, g) for a, g in zip(maps, gradients, strict=True) if g is not None]
    finest = max((part.shape[-2:] for part in parts), default=maps[0].shape[-2:])
    total = sum((_resized(part, finest) for part in parts), torch.zeros(1, 1, *finest, device=maps[0].device))
    cam = torch.relu(total)[0, 0]
    peak = float(cam.max())
    return (cam / peak if peak > 0 else cam).cpu().numpy().astype(np.float32)


def _contribution(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The contribution of each place to the score, [1, 1, h, w], times the number of places so that grids are
    comparable.
    """
    if _channels_last(activation):
        activation, gradient = activation.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    weights = gradient.sum(dim=(2, 3), keepdim=True)
    return (weights * activation).sum(dim=1, keepdim=True).detach()


def _resized(part: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if part.shape[-2:] == size:
        return part
    return torch.nn.functional.interpolate(part, size=size, mode="bilinear", align_corners=False)
