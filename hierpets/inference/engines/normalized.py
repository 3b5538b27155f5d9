"""An engine for exported files, whose input is normalized as in training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hierpets.data.transforms import normalize
from hierpets.inference.engines.base import Precision, RawOutput
from hierpets.plugin import Preprocess

__all__ = ["NormalizedEngine"]


class NormalizedEngine:
    """Normalizes pixels and passes them to ``run``, which maps float32 [B, 3, h, w] to the outputs."""

    device = "cpu"
    precision: Precision = "f32"
    workers, batch = 2, 4

    def __init__(self, run: Callable[[np.ndarray], RawOutput], preprocess: Preprocess, *, name: str):
        self.name = name
        self._run, self._preprocess = run, preprocess

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        planes = np.empty((len(pixels), 3, *pixels.shape[1:3]), np.float32)
        for photo, out in zip(pixels, planes, strict=True):
            normalize(self._preprocess, photo, out)
        return self._run(planes)
