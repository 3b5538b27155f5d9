"""Grad-CAM: which places of the last spatial map spoke for a class.

After Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from hierpets.errors import PluginError
from hierpets.model.network import HierarchicalNetwork, NetworkOutput
from hierpets.taxonomy import Taxonomy

__all__ = ["Target", "gradcam"]


@dataclass(frozen=True)
class Target:
    """What to explain: a species by its index, or a leaf by its index."""

    level: Literal["species", "leaf"]
    index: int


def gradcam(network: HierarchicalNetwork, image: np.ndarray, *targets: Target) -> np.ndarray:
    """float32 [T, h, w] in [0, 1] for T targets: the network's last spatial map, weighed by what speaks for each.

    ``image`` float32 [3, size, size] is the network's input. The score of a species is its logit against the mean of
    the other species, that of a leaf its logit against the mean of the other breeds of its species: what they have in
    common explains nothing, and a probability near one has no gradient left. A map without a place that speaks for
    the target is nought everywhere.

    :raises PluginError: the backbone ends without a spatial map, as transformers over tokens do.
    """
    batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(next(network.parameters()).device)
    with torch.enable_grad(), _last_map(network.backbone) as found:
        output = network(batch.requires_grad_())
        activation = found.tensor()
        maps = [_weighed(activation, _score(output, target, network.taxonomy)) for target in targets]
    return np.stack(maps)


@dataclass
class _Found:
    """The last map that the backbone gave, and whether it was taken apart into tokens afterwards."""

    last: torch.Tensor | None = None
    tokens: bool = False

    def tensor(self) -> torch.Tensor:
        if self.last is None or self.tokens:
            raise PluginError(
                "Grad-CAM needs a backbone that ends in a spatial map [B, C, h, w] or [B, h, w, C]; this one "
                + ("goes on with tokens [B, N, C]" if self.tokens else "gives none")
            )
        return self.last


@contextmanager
def _last_map(backbone: torch.nn.Module) -> Iterator[_Found]:
    """Listen to the output of every module inside; the last spatial one counts."""
    found = _Found()

    def hear(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if not isinstance(output, torch.Tensor):
            return
        if output.ndim == 4 and _is_spatial(output):
            found.last, found.tokens = output, False
        elif output.ndim == 3 and output.shape[1] > 1:
            found.tokens = True

    handles = [module.register_forward_hook(hear) for module in backbone.modules()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _is_spatial(tensor: torch.Tensor) -> bool:
    return min(tensor.shape[2], tensor.shape[3]) > 1 or _channels_last(tensor)


def _channels_last(tensor: torch.Tensor) -> bool:
    """Inputs are square, so the two equal axes are the places."""
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


def _weighed(activation: torch.Tensor, score: torch.Tensor) -> np.ndarray:
    """float32 [h, w] in [0, 1]: channels summed by their mean gradient, what speaks against cut off."""
    (gradient,) = torch.autograd.grad(score, activation, retain_graph=True)
    if _channels_last(activation):
        activation, gradient = activation.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    cam = torch.relu((weights * activation).sum(dim=1))[0].detach()
    peak = float(cam.max())
    scaled: np.ndarray = (cam / peak if peak > 0 else cam).cpu().numpy().astype(np.float32)
    return scaled
