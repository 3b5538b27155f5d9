"""How cuDNN computes on a GPU: switches of the whole process, set while hierpets computes and then put back."""

from __future__ import annotations

from contextlib import ContextDecorator
from threading import Lock
from typing import Any

import torch

__all__ = ["Switched", "exact_float32", "repeatable"]


class Switched(ContextDecorator):
    """A context, or a function, in which attributes of ``holder`` have these ``values``.

    Any number of threads may be inside, one of them several times: who is the last to leave puts back what was there
    before the first came.
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
    # What sets both at once, `cudnn.flags`, fails in a process that uses the newer of torch's two interfaces.
    if hasattr(cudnn, "conv"):
        return Switched(cudnn.conv, fp32_precision="ieee")
    return Switched(cudnn, allow_tf32=False)  # older torch has no other


exact_float32 = _in_float32(torch.backends.cudnn)
"""Convolutions of float32 are computed in it. TF32, which torch lets cuDNN take instead, has ten bits of mantissa."""

repeatable = Switched(torch.backends.cudnn, deterministic=True, benchmark=False)
"""Gradients are the same from run to run, which the fastest ones are not."""
