"""The exponential moving average of the weights: what is validated and kept."""

from __future__ import annotations

import torch
from torch.optim.swa_utils import AveragedModel

from hierpets.model.network import HierarchicalNetwork

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]

__all__ = ["decay_after", "moving_average"]


def decay_after(updates: int, decay: float) -> float:
    """The decay of one update: it climbs to ``decay``, so that in a short training the average is not left behind."""
    return min(decay, (1 + updates) / (10 + updates))


def moving_average(network: HierarchicalNetwork, decay: float) -> AveragedModel:
    """An average that begins at ``network`` as it is; ``update_parameters(network)`` after each step moves it on."""

    @torch.no_grad()
    def update(average: Tensors, current: Tensors, updates: torch.Tensor | int) -> None:
        torch._foreach_lerp_(average, current, 1 - decay_after(int(updates), decay))

    averaged = AveragedModel(network, multi_avg_fn=update)
    averaged.update_parameters(network)  # the first update copies
    return averaged
