"""One photo through the stages of prediction, each with its result: what tracing and timing look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierpets.data.photos import Photo, read_photo
from hierpets.data.transforms import apply
from hierpets.hierarchy.decision import Decision, Scores, decide
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.predictor import Predictor

__all__ = ["STAGES", "Decided", "Decoded", "NetworkRun", "Preprocessed", "StageResult", "prediction_stages"]

STAGES = ("decode", "preprocess", "network", "decision")


@dataclass(frozen=True)
class Decoded:
    """``pixels``: RGB uint8 [H, W, 3], upright."""

    pixels: np.ndarray


@dataclass(frozen=True)
class Preprocessed:
    """``inputs``: float32 [3, size, size], the network's input."""

    inputs: np.ndarray


@dataclass(frozen=True)
class NetworkRun:
    """``output`` of a batch of one photo."""

    output: RawOutput


@dataclass(frozen=True)
class Decided:
    """``joint``: float64 [L], the probability of every leaf; and the ``decision`` on it."""

    joint: np.ndarray
    decision: Decision


StageResult = Decoded | Preprocessed | NetworkRun | Decided


def prediction_stages(predictor: Predictor, photo: Photo) -> Iterator[StageResult]:
    """The result of each of :data:`STAGES`, computed when it is asked for.

    :raises ImageError: the photo cannot be read.
    """
    manifest = predictor.manifest
    pixels = read_photo(photo, shorter_side=manifest.preprocess.decoded_side)
    yield Decoded(pixels)
    inputs = apply(manifest.preprocess, pixels)
    yield Preprocessed(inputs)
    output = predictor.engine(inputs[None])
    yield NetworkRun(output)
    joint = predictor.joint(output)[0]
    scores = Scores.of(output.scores[0]) if manifest.ood else None
    yield Decided(joint, decide(joint, manifest.taxonomy, manifest.policy, scores=scores))
