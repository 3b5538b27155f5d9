"""Estimate how long fine-tuning would take on this machine."""

from __future__ import annotations

import time
from copy import deepcopy

import torch

from hierpets.plugin import Backbone

__all__ = ["finetune_minutes", "too_long"]

PROBE = 8
PASSES = 5  # of which the fastest counts, so that one that is held up does not decide
BACKWARD = 2.0  # a backward pass computes two products for each one of the forward pass


def finetune_minutes(backbone: Backbone, *, photos: int, epochs: int, device: str = "cpu") -> float:
    """Estimate the minutes that fine-tuning takes, from the fastest of some forward passes over a few photos.

    The backbone stays on its device.

    :raises PluginError: its network fails.
    """
    module, size = backbone.module, backbone.preprocess.size
    if device != "cpu":
        module = deepcopy(module).to(device)
    images = torch.zeros(PROBE, 3, size, size).to(device, memory_format=torch.channels_last)
    with backbone.guard(), torch.inference_mode():
        module(images)
        forward = min(_seconds(module, images) for _ in range(PASSES)) / PROBE
    return forward * (1 + BACKWARD) * photos * epochs / 60


def too_long(minutes: float, limit: float) -> str | None:
    """Return why fine-tuning of so many minutes exceeds ``limit``, the setting ``auto.finetune_minutes``, else None."""
    return f"estimated {minutes:.1f} min exceeds finetune_minutes={limit:g}" if minutes > limit else None


def _seconds(module: torch.nn.Module, images: torch.Tensor) -> float:
    started = time.perf_counter()
    module(images).sum().item()
    return time.perf_counter() - started
