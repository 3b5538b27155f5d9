"""Photos as the feature maps that enter the last stage of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hierpets.data.dataset import iter_inputs
from hierpets.data.records import PhotoIndex
from hierpets.plugin import Backbone
from hierpets.workers import cores

__all__ = ["Maps", "compute_maps", "last_stage"]


@dataclass(frozen=True)
class Maps:
    """``plain`` and ``flipped`` float16 [N, C, H, W] of N photos and of their mirror images, and their ``leaf`` [N]."""

    plain: torch.Tensor
    flipped: torch.Tensor
    leaf: np.ndarray

    def where(self, rows: np.ndarray) -> Maps:
        """Those of some photos, bool [N]."""
        chosen = torch.from_numpy(rows)
        return Maps(self.plain[chosen], self.flipped[chosen], self.leaf[rows])


def last_stage(backbone: Backbone) -> nn.Sequential:
    """What makes features [B, D] of a feature map: the last stage of blocks, the last convolution, the pooling."""
    module: Any = backbone.module
    return nn.Sequential(module.blocks[-1], module.conv_head, module.bn2, module.global_pool)


@torch.inference_mode()
def compute_maps(backbone: Backbone, photos: PhotoIndex) -> Maps:
    """The maps of all photos; those of mirror images are computed from mirrored pixels."""
    module: Any = backbone.module.eval()
    before = nn.Sequential(module.conv_stem, module.bn1, *module.blocks[:-1])
    parts: dict[bool, list[torch.Tensor]] = {False: [], True: []}
    for _, inputs in iter_inputs(photos.paths, backbone.preprocess, batch_size=8, workers=cores()):
        images = torch.from_numpy(inputs)
        for flipped, found in parts.items():
            found.append(before(images.flip(3) if flipped else images).half())
    return Maps(torch.cat(parts[False]), torch.cat(parts[True]), photos.labels().leaf)
