"""Round weights to eight bits with one scale per output channel, as a bundle stores them.

Matrices and filters are rounded when a network is built, before anything is fitted to it, so that heads are fitted to
the very network that is served: torch reads the rounded values, and OpenVINO's graph holds the same integers. Folding
BatchNorm into a filter scales whole channels, which changes their scales and no integer. Only weights are rounded;
activations stay in float32. (Symmetric per-channel quantization: Krishnamoorthi, arXiv:1806.08342.)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["MIN_SIZE", "pack", "pack_tensor", "round_weights", "unpack"]

STEPS = 127
SCALE = ".scale"
MIN_SIZE = 2048  # number of values below which a tensor is not worth packing


def round_weights(module: torch.nn.Module) -> None:
    """Round the matrices and filters in a module's ``state_dict()``, in place.

    Integer tensors, vectors (biases, BatchNorm) and buffers that are not persistent stay unchanged.
    """
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.ndim >= 2 and tensor.numel() and tensor.is_floating_point():
                integers, scale = _quantize(tensor)
                tensor.copy_(integers.float() * scale)


def pack(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Store rounded tensors as int8 with a ``.scale`` beside each; copy others, such as heads, unchanged."""
    packed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        quantized = pack_tensor(tensor)
        if quantized is None:
            # A copy: safetensors cannot write one tensor under two names, which layers with shared weights have.
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


def pack_tensor(tensor: torch.Tensor, *, min_size: int = MIN_SIZE) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the integers and scales of a rounded tensor of at least ``min_size`` values, else None."""
    if tensor.ndim < 2 or tensor.numel() < min_size or not tensor.is_floating_point():
        return None
    integers, scale = _quantize(tensor)
    exact = ((integers * scale - tensor).abs() <= 1e-3 * scale).all()
    return (integers, scale) if exact else None


def _quantize(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int8 integers of the tensor's shape, and float32 scales [K, 1, ...], one per index of its first axis."""
    tensor = tensor.detach().cpu().float()
    scale = (tensor.abs().amax(dim=tuple(range(1, tensor.ndim)), keepdim=True) / STEPS).clamp(min=1e-30)
    return (tensor / scale).round().to(torch.int8).contiguous(), scale.contiguous()
