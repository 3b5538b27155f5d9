"""What a test reads of cuDNN's switches, with or without a GPU."""

from __future__ import annotations

import torch

__all__ = ["is_exact"]


def is_exact() -> bool:
    """Whether convolutions of float32 would be computed in float32, by either of torch's interfaces."""
    cudnn = torch.backends.cudnn
    return cudnn.conv.fp32_precision != "tf32" if hasattr(cudnn, "conv") else not cudnn.allow_tf32
