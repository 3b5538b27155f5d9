"""AdamW with a learning rate by depth of the backbone, its schedule, and the freezing of layers."""

from __future__ import annotations

import math
from itertools import groupby

import torch
from torch import nn

from hierpets.config import FinetuneConfig
from hierpets.model.network import HierarchicalNetwork

__all__ = ["build_optimizer", "freeze", "freeze_statistics", "layers_of", "rate_factor", "set_rates"]


def layers_of(backbone: nn.Module) -> list[nn.Module]:
    """Return the modules that have parameters of their own, in the order of registration: from input to output."""
    return [module for module in backbone.modules() if next(module.parameters(recurse=False), None) is not None]


def freeze(network: HierarchicalNetwork, *, trainable_fraction: float, species_head: bool) -> None:
    """Freeze all but the heads and the last ``trainable_fraction`` of the backbone's layers.

    The species head is frozen as well without ``species_head``.
    """
    layers = layers_of(network.backbone)
    frozen = len(layers) - math.ceil(trainable_fraction * len(layers))
    for depth, layer in enumerate(layers):
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(depth >= frozen)
    network.species_head.requires_grad_(species_head)
    network.leaf_head.requires_grad_(True)


def freeze_statistics(network: nn.Module) -> None:
    """Set training mode, but let every BatchNorm use and keep its statistics: those of small batches are too noisy."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def build_optimizer(network: HierarchicalNetwork, config: FinetuneConfig, *, fused: bool = False) -> torch.optim.AdamW:
    """Build the optimizer, with a parameter group for each learning rate and weight decay.

    The backbone's last layer has ``learning_rate``, and the rate falls geometrically with depth, to about
    ``layer_decay`` of it at the first layer. Vectors (biases, norms) have no weight decay. ``fused`` updates all
    parameters in one kernel, which is faster on a GPU.
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
    """Return the factor of the full learning rate at ``step`` (from 0) of ``total``.

    It rises linearly over the first ``warmup`` steps, then follows half a cosine down to zero.
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
    """Return each trainable parameter once, even if weights are tied, sorted by rate, matrices before vectors."""
    seen: dict[int, tuple[float, nn.Parameter]] = {}
    for rate, parameter in rated:
        if parameter.requires_grad:
            seen.setdefault(id(parameter), (rate, parameter))
    return sorted(seen.values(), key=lambda pair: (pair[0], pair[1].ndim < 2))
