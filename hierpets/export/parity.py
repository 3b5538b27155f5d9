"""Compares the predictions of two engines, and their accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.photos import Photo
from hierpets.data.transforms import to_square
from hierpets.errors import DataError
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.predictor import Predictor
from hierpets.progress import Progress, no_progress
from hierpets.taxonomy import UNKNOWN_LEAF

__all__ = ["MAX_DRIFT", "MAX_FALL", "Parity", "measure_parity"]

MAX_DRIFT = 0.005
"""The fraction of photos whose top-1 leaf may change."""
MAX_FALL = 0.003
"""How far int8 may lower the accuracy."""
BATCH = 8
Z_95 = 1.96  # standard errors to each side of a 95% interval


@dataclass(frozen=True)
class Parity:
    """The differences between the predictions of a reference and of another engine.

    ``photos`` were compared, and the ``same`` number of them keeps its top-1 leaf. ``largest`` is the largest absolute
    difference of each output and of the ``joint`` probabilities, since log-probabilities of nearly zero differ a lot.
    ``expected_fall`` is how far the accuracy would fall if the reference's probabilities were right: the mean
    difference between its probability of its own top-1 leaf and of the other's. ``right`` counts the ``labeled`` photos
    whose top-1 leaf is right, of the reference and of the other engine; ``lost`` those that only the reference gets
    right.
    """

    photos: int
    same: int
    largest: dict[str, float]
    expected_fall: float = 0.0
    labeled: int = 0
    right: tuple[int, int] = (0, 0)
    lost: int = 0

    @property
    def drift(self) -> float:
        """The fraction of photos whose top-1 leaf changed."""
        return (self.photos - self.same) / self.photos

    @property
    def smallest_fall(self) -> float:
        """Lower bound, with 95% confidence, of how far the accuracy falls: that of an interval of paired differences on
        labeled photos; 0 if there are none.
        """
        if not self.labeled:
            return 0.0
        fall = self.right[0] - self.right[1]
        differ = 2 * self.lost - fall  # photos that only one of them gets right
        return (fall - Z_95 * math.sqrt(differ - fall**2 / self.labeled)) / self.labeled

    @property
    def finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        return all(np.isfinite(value) for value in self.largest.values())

    @property
    def holds(self) -> bool:
        """Whether the drift is at most :data:`MAX_DRIFT` and every number is finite."""
        return self.finite and self.drift <= MAX_DRIFT

    @property
    def holds_quantized(self) -> bool:
        """Like :attr:`holds`, for int8, which may change more photos as long as they are close calls: whether every
        number is finite, the accuracy is expected to fall by less than :data:`MAX_FALL`, and labeled photos do not
        prove that it falls by more.

        A few hundred labeled photos alone would decide by chance: one of 330 is 0.3 points.
        """
        return self.finite and self.expected_fall < MAX_FALL and self.smallest_fall < MAX_FALL

    def words(self) -> str:
        """Describe it: ``top-1 agrees on 400 of 400 photos, ...; largest difference: features 1e-05, ...``."""
        differences = ", ".join(f"{name} {value:.1e}" for name, value in self.largest.items())
        right = f"; correct on {self.right[1]} of {self.labeled}, was {self.right[0]}" if self.labeled else ""
        return (
            f"top-1 agrees on {self.same} of {self.photos} photos, expected to cost {100 * self.expected_fall:.2f} "
            f"points of accuracy{right}; largest difference: {differences}"
        )

    def to_json(self) -> dict[str, Any]:
        """The values for ``check.json``."""
        return {
            "photos": self.photos,
            "same_top1": self.same,
            "drift": self.drift,
            "expected_fall": self.expected_fall,
            "labeled": self.labeled,
            "right": list(self.right),
            "lost": self.lost,
            "largest_difference": self.largest,
        }


def measure_parity(
    reference: Predictor,
    other: Predictor,
    photos: Sequence[Photo],
    *,
    leaves: Sequence[int] | None = None,
    threshold: float = 0.0,
    progress: Progress = no_progress,
) -> Parity:
    """Run the same pixels through the engines of two predictors and compare. Unreadable photos are left out.

    ``leaves`` are the true leaves of the photos, -1 if unknown. A photo that the other engine is not certain of beyond
    ``threshold`` counts as unchanged: another network answers it.

    :raises DataError: none of the photos can be read.
    """
    largest = dict.fromkeys((*RawOutput._fields, "joint"), 0.0)
    truth = np.asarray(leaves if leaves is not None else [UNKNOWN_LEAF] * len(photos))
    tops: list[np.ndarray] = []
    costs: list[np.ndarray] = []
    progress("photos", 0, len(photos))
    preprocess = reference.manifest.preprocess

    def square(_: int, photo: np.ndarray) -> np.ndarray:
        return to_square(preprocess, photo)

    batches = iter_inputs(photos, preprocess, batch_size=BATCH, transform=square, on_error=lambda i, e: None)
    for indices, inputs in batches:
        ours, theirs = reference.engine(inputs), other.engine(inputs)
        joints = reference.joint(ours), other.joint(theirs)
        for name, a, b in zip(largest, (*ours, joints[0]), (*theirs, joints[1]), strict=True):
            largest[name] = float(np.maximum(largest[name], np.abs(a - b).max()))  # NaN stays NaN
        rows, own = np.arange(len(inputs)), joints[0].argmax(axis=1)
        new = np.where(_passes(other, theirs, threshold), joints[1].argmax(axis=1), own)
        tops.append(np.stack([own, new, truth[indices]]))
        costs.append(joints[0][rows, own] - joints[0][rows, new])
        progress("photos", sum(map(len, costs)), len(photos))
    if not tops:
        raise DataError(f"none of the {len(photos)} photos to check with can be read")
    own, new, true = np.concatenate(tops, axis=1)
    return Parity(
        photos=len(own),
        same=int((own == new).sum()),
        largest=largest,
        expected_fall=float(np.concatenate(costs).mean()),
        labeled=int((true != UNKNOWN_LEAF).sum()),
        right=(int((own == true).sum()), int((new == true).sum())),
        lost=int(((own == true) & (new != true)).sum()),
    )


def _passes(predictor: Predictor, output: RawOutput, threshold: float) -> np.ndarray:
    """Whether a network is certain of each photo beyond its threshold, bool [B]."""
    manifest = predictor.manifest
    passed: np.ndarray = manifest.calibration.certainty(output.outputs, manifest.learned) > threshold
    return passed
