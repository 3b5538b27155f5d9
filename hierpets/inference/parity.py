"""Whether one engine answers as another does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.photos import Source
from hierpets.errors import DataError
from hierpets.inference.engine import RawOutput
from hierpets.inference.predictor import Predictor

__all__ = ["MAX_DRIFT", "Parity", "measure_parity"]

MAX_DRIFT = 0.005
"""The share of photos whose likeliest leaf may change."""
BATCH = 8


@dataclass(frozen=True)
class Parity:
    """``photos`` compared, how many of them keep their likeliest leaf, the largest absolute difference by output."""

    photos: int
    same: int
    largest: dict[str, float]

    @property
    def drift(self) -> float:
        """The share of photos whose likeliest leaf changed."""
        return (self.photos - self.same) / self.photos

    @property
    def holds(self) -> bool:
        """Whether the drift is at most :data:`MAX_DRIFT` and every number is one."""
        return self.drift <= MAX_DRIFT and all(np.isfinite(value) for value in self.largest.values())

    def words(self) -> str:
        """``top-1 agrees on 400 of 400 photos; largest difference: features 1e-05, ...``"""
        differences = ", ".join(f"{name} {value:.1e}" for name, value in self.largest.items())
        return f"top-1 agrees on {self.same} of {self.photos} photos; largest difference: {differences}"

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"photos": self.photos, "same_top1": self.same, "drift": self.drift, "largest_difference": self.largest}


def measure_parity(
    reference: Predictor,
    other: Predictor,
    photos: Sequence[Source],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Parity:
    """Run the same pixels through the engines of two predictors. Photos that cannot be read are left out.

    :raises DataError: no photo can be read.
    """
    largest = dict.fromkeys(RawOutput._fields, 0.0)
    compared = same = 0
    for _, inputs in iter_inputs(photos, reference.manifest.preprocess, batch_size=BATCH, on_error=lambda i, e: None):
        ours, theirs = reference.engine(inputs), other.engine(inputs)
        for name, a, b in zip(largest, ours, theirs, strict=True):
            largest[name] = float(np.maximum(largest[name], np.abs(a - b).max()))  # NaN stays NaN
        winners = reference.joint(ours).argmax(axis=1), other.joint(theirs).argmax(axis=1)
        same += int((winners[0] == winners[1]).sum())
        compared += len(inputs)
        progress(compared, len(photos))
    if not compared:
        raise DataError(f"none of the {len(photos)} photos to check with can be read")
    return Parity(compared, same, largest)
