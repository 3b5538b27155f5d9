"""AdamW with a learning rate for each depth of the backbone, the schedule of that rate, and what is frozen."""

from __future__ import annotations

import math
from itertools import groupby

import torch
from torch import nn

from hierpets.config import FinetuneConfig
from hierpets.model.network import HierarchicalNetwork

__all__ = ["build_optimizer", "freeze", "freeze_statistics", "layers_of", "rate_factor", "set_rates"]


def layers_of(backbone: nn.Module) -> list[nn.Module]:
    """The modules that hold parameters of their own, in the order they were registered: from the input on."""
    return [module for module in backbone.modules() if next(module.parameters(recurse=False), None) is not None]


def freeze(network: HierarchicalNetwork, *, trainable_fraction: float, species_head: bool) -> None:
    """Leave only the last ``trainable_fraction`` of the backbone's layers and the heads to be trained."""
    layers = layers_of(network.backbone)
    frozen = len(layers) - math.ceil(trainable_fraction * len(layers))
    for depth, layer in enumerate(layers):
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(depth >= frozen)
    network.species_head.requires_grad_(species_head)
    network.leaf_head.requires_grad_(True)


def freeze_statistics(network: nn.Module) -> None:
    """Train, but let every BatchNorm use and keep the statistics it came with: those of small batches are noise."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def build_optimizer(network: HierarchicalNetwork, config: FinetuneConfig, *, fused: bool = False) -> torch.optim.AdamW:
    """One group for each rate, apart for what decays: vectors (biases, norms) do not.

    The last layer of the backbone learns at ``learning_rate``, the first at ``layer_decay`` of it, and those between
    at a geometric mean by depth. ``fused`` updates all parameters in one kernel, which pays on a GPU.
    """
    layers = layers_of(network.backbone)
    rated = [
        (config.learning_rate * config.layer_decay ** (1 - (depth + 1) / len(layers)), parameter)
        for depth, layer in enumerate(layers)
        for parameter in layer.parameters(recurse=False)
    ]
    heads = [*network.species_head.parameters(), *network.leaf_head.parameters()]
    rated += [(config.head_learning_rate, parameter) for parameter in heads]
    groups = groupby(_unique(rated), key=lambda pair: (pair[0], config.weight_decay if pair[1].ndim >= 2 else 0.0))
    return torch.optim.AdamW(
        [
            {"params": [p for _, p in pairs], "lr": rate, "full_lr": rate, "weight_decay": decay}
            for (rate, decay), pairs in groups
        ],
        fused=fused,
    )


def rate_factor(step: int, *, warmup: int, total: int) -> float:
    """The share of the full rate at ``step`` (from 0) of ``total``: a linear warm-up over the first ``warmup`` steps,
    then half a cosine down to zero.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to ``factor`` of its full rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor


def _unique(rated: list[tuple[float, nn.Parameter]]) -> list[tuple[float, nn.Parameter]]:
    """Trainable parameters, each once (tied weights come twice), matrices before vectors at each rate."""
    seen: dict[int, tuple[float, nn.Parameter]] = {}
    for rate, parameter in rated:
        if parameter.requires_grad:
            seen.setdefault(id(parameter), (rate, parameter))
    return sorted(seen.values(), key=lambda pair: (pair[0], pair[1].ndim < 2))
