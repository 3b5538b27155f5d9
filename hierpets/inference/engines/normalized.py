"""Pixels for what takes the input of a network as it is trained: exported files, and graphs of earlier bundles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hierpets.data.transforms import normalize
from hierpets.inference.engines.base import Engine, Precision, RawOutput
from hierpets.plugin import Preprocess

__all__ = ["NormalizedEngine"]


class NormalizedEngine:
    """An engine of ``run``, which maps float32 [B, 3, h, w] to the same outputs."""

    device = "cpu"

    def __init__(
        self,
        run: Callable[[np.ndarray], RawOutput],
        preprocess: Preprocess,
        *,
        name: str,
        precision: Precision = "f32",
        workers: int = 2,
        batch: int = 4,
    ):
        self.name, self.precision, self.workers, self.batch = name, precision, workers, batch
        self._run, self._preprocess = run, preprocess

    @classmethod
    def around(cls, engine: Engine, preprocess: Preprocess) -> NormalizedEngine:
        """An engine of pixels with the properties of one that takes the input of a network."""
        return cls(
            engine,
            preprocess,
            name=engine.name,
            precision=engine.precision,
            workers=engine.workers,
            batch=engine.batch,
        )

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        planes = np.empty((len(pixels), 3, *pixels.shape[1:3]), np.float32)
        for photo, out in zip(pixels, planes, strict=True):
            normalize(self._preprocess, photo, out)
        return self._run(planes)
