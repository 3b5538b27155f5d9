"""Train a flat classifier of all breeds on random views; the result is the moving average of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from hierpets.errors import ConfigError
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Preprocess
from hierpets.progress import Progress
from hierpets.training.finetuning.averaging import moving_average
from hierpets.training.finetuning.batches import BatchPlan
from hierpets.training.finetuning.learner import forward_dtype
from hierpets.training.finetuning.optimizer import build_optimizer, freeze, freeze_statistics, rate_factor, set_rates
from tools.tuning.procedure import Procedure
from tools.tuning.squares import Squares
from tools.tuning.views import random_views

__all__ = ["TrainingSet", "train_network"]


@dataclass(frozen=True)
class TrainingSet:
    """N photos on one device, with ``leaf`` int64 [N] and sampling ``weights`` [N]."""

    squares: Squares
    leaf: torch.Tensor
    weights: np.ndarray


def train_network(
    network: HierarchicalNetwork,
    photos: TrainingSet,
    procedure: Procedure,
    preprocess: Preprocess,
    *,
    progress: Progress,
) -> HierarchicalNetwork:
    """Train ``network`` in place on the device of the photos; return a network with the moving average of its weights.

    :raises ConfigError: the loss is not finite, or the device does not support the precision.
    """
    settings, device = procedure.settings, photos.leaf.device
    network.to(device).to(memory_format=torch.channels_last)
    freeze(network, trainable_fraction=settings.trainable_fraction, species_head=False)
    freeze_statistics(network)
    dtype = forward_dtype(device.type, settings.precision)
    optimizer = build_optimizer(network, settings, fused=device.type == "cuda")
    average = moving_average(network, settings.ema_decay)
    plan = BatchPlan(photos.weights, settings.batch_size, seed=procedure.seed)
    generator = torch.Generator(device).manual_seed(procedure.seed)
    warmup, total = round(settings.warmup_epochs * plan.steps), settings.epochs * plan.steps
    for step, rows in enumerate(_batches(plan, settings.epochs)):
        set_rates(optimizer, rate_factor(step, warmup=warmup, total=total))
        rows = rows.to(device)
        views = random_views(photos.squares.rows(rows), procedure.train_size, generator)
        logits = _logits(network, _normalized(views, preprocess), dtype)
        loss = cross_entropy(logits, photos.leaf[rows], label_smoothing=procedure.label_smoothing)
        _take_step(optimizer, loss, network, settings.max_gradient_norm)
        average.update_parameters(network)
        progress("fine-tuning", step + 1, total)
    if not loss.isfinite():
        raise ConfigError(f"training diverged: expected a finite loss, got {loss.item()}; lower the learning rates")
    return cast(HierarchicalNetwork, average.module).eval()


def _batches(plan: BatchPlan, epochs: int) -> Iterator[torch.Tensor]:
    """Yield the rows of the photos of each step, int64 [B]."""
    for epoch in range(epochs):
        for rows in plan.order(epoch)[plan.positions()]:
            yield torch.from_numpy(rows)


def _logits(network: HierarchicalNetwork, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return leaf logits [B, L] of images [B, 3, h, w]; the head always computes in float32."""
    with torch.autocast(images.device.type, dtype=dtype, enabled=dtype != torch.float32):
        features = network.backbone(images)
    logits: torch.Tensor = network.leaf_head(features.float())
    return logits


def _take_step(
    optimizer: torch.optim.Optimizer, loss: torch.Tensor, network: HierarchicalNetwork, max_norm: float
) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in network.parameters() if p.requires_grad], max_norm)
    optimizer.step()


def _normalized(views: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    mean, std = (torch.tensor(v, device=views.device).view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
    return ((views - mean) / std).contiguous(memory_format=torch.channels_last)
