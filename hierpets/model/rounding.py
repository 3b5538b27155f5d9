"""Weights as a bundle stores them: eight bits and a scale for each output channel.

Matrices and filters are rounded when a network is built, before anything is fitted to it, so that what was fitted is
what is served: by torch, which reads the rounded values, and by OpenVINO, whose graph holds the same integers. Folding
BatchNorm into a filter scales a whole channel, which changes the scale and no integer. Only weights are rounded;
activations stay in float32. (Per-channel symmetric: Krishnamoorthi, arXiv:1806.08342.)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["LEAST", "pack", "pack_tensor", "round_weights", "unpack"]

STEPS = 127
SCALE = ".scale"
LEAST = 2048  # values, below which a tensor is not worth packing


def round_weights(module: torch.nn.Module) -> None:
    """Round matrices and filters in place, those that a bundle keeps: not a table of indices, nor a buffer that is made
    anew. Vectors (biases, BatchNorm) keep their precision.
    """
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.ndim >= 2 and tensor.numel() and tensor.is_floating_point():
                integers, scale = _quantize(tensor)
                tensor.copy_(integers.float() * scale)


def pack(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rounded tensors as int8 with a ``.scale`` beside each; tensors that are not rounded, such as heads, unchanged."""
    packed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        quantized = pack_tensor(tensor)
        if quantized is None:
            # A copy: two names of one tensor, as layers that share their weights have, cannot be written.
            packed[name] = tensor.contiguous().clone()
        else:
            packed[name], packed[name + SCALE] = quantized
    return packed


def unpack(packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of :func:`pack`."""
    scales = {name for name in packed if name.endswith(SCALE) and name.removesuffix(SCALE) in packed}
    return {
        name: tensor.float() * packed[name + SCALE] if name + SCALE in scales else tensor
        for name, tensor in packed.items()
        if name not in scales
    }


def pack_tensor(tensor: torch.Tensor, *, least: int = LEAST) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Integers and scales of a tensor that is rounded and has ``least`` values, else None."""
    if tensor.ndim < 2 or tensor.numel() < least or not tensor.is_floating_point():
        return None
    integers, scale = _quantize(tensor)
    exact = ((integers * scale - tensor).abs() <= 1e-3 * scale).all()
    return (integers, scale) if exact else None


def _quantize(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 of the tensor's shape, and float32 scales [K, 1, ...], one for each of its K first rows."""
    tensor = tensor.detach().cpu().float()
    scale = (tensor.abs().amax(dim=tuple(range(1, tensor.ndim)), keepdim=True) / STEPS).clamp(min=1e-30)
    return (tensor / scale).round().to(torch.int8).contiguous(), scale.contiguous()
