"""Process-wide cuDNN settings, set while hierpets computes on a GPU and restored afterwards."""

from __future__ import annotations

from contextlib import ContextDecorator
from threading import Lock
from typing import Any

import torch

__all__ = ["Switched", "exact_float32", "repeatable"]


class Switched(ContextDecorator):
    """Set attributes of ``holder`` to ``values`` while inside this context manager or decorated function.

    It is reentrant and thread-safe: the last to leave restores the values that the first one found.
    """

    def __init__(self, holder: Any, **values: Any):
        self._holder, self._values = holder, values
        self._before: dict[str, Any] = {}
        self._inside, self._lock = 0, Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = {name: getattr(self._holder, name) for name in self._values}
                self._set(self._values)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._set(self._before)

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self._holder, name, value)


def _in_float32(cudnn: Any) -> Switched:
    # Not `cudnn.flags`: it fails in a process that uses the newer of torch's two interfaces for precision.
    if hasattr(cudnn, "conv"):
        return Switched(cudnn.conv, fp32_precision="ieee")
    return Switched(cudnn, allow_tf32=False)  # older torch


exact_float32 = _in_float32(torch.backends.cudnn)
"""Compute float32 convolutions in float32, not in TF32, torch's default on cuDNN, which has ten bits of mantissa."""

repeatable = Switched(torch.backends.cudnn, deterministic=True, benchmark=False)
"""Compute the same gradients in every run: cuDNN's fastest algorithms are not deterministic."""
