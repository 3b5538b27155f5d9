"""Run one photo through the stages of prediction and yield the result of each, for tracing and timing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierpets.data.photos import Photo
from hierpets.hierarchy.decision import Decision, decide
from hierpets.inference.engines.cascade import Squares, StageOutput
from hierpets.inference.predictor import Predictor
from hierpets.regions.boxes import Box

__all__ = ["STAGES", "Decided", "Decoded", "NetworkRun", "Preprocessed", "StageResult", "prediction_stages"]

STAGES = ("decode", "preprocess", "network", "decision")


@dataclass(frozen=True)
class Decoded:
    """``pixels``: RGB uint8 [H, W, 3], upright."""

    pixels: np.ndarray


@dataclass(frozen=True)
class Preprocessed:
    """``squares``: the input of each network."""

    squares: Squares


@dataclass(frozen=True)
class NetworkRun:
    """The outputs of the networks that ran, each for a batch of one photo; the last of the ``stages`` answered."""

    stages: tuple[StageOutput, ...]


@dataclass(frozen=True)
class Decided:
    """The ``decision``, based on ``joint`` float64 [L], the probability of every leaf, and ``scores`` [1 + S], None if
    the model has none. ``second_look`` is the part of the photo that was looked at again, if any; ``objection`` is how
    much the pet score was lowered because the photo looks like another animal.
    """

    joint: np.ndarray
    scores: np.ndarray | None
    decision: Decision
    second_look: Box | None
    objection: float


StageResult = Decoded | Preprocessed | NetworkRun | Decided


def prediction_stages(predictor: Predictor, photo: Photo) -> Iterator[StageResult]:
    """Yield the result of each of :data:`STAGES`, computed when it is asked for.

    :raises ImageError: the photo cannot be read.
    """
    manifest, cascade = predictor.manifest, predictor.cascade
    pixels = cascade.decode(photo)
    yield Decoded(pixels)
    squares = cascade.squares(pixels)
    yield Preprocessed(squares)
    stages = tuple(cascade.run_stages([squares]))
    yield NetworkRun(stages)
    found = cascade.finish(stages, lambda _: cascade.decode_again(photo))
    joint = predictor.joint(found.output)
    scores, thresholds = found.output.scores if manifest.ood else None, predictor.thresholds()
    decided = decide(joint, manifest.taxonomy, manifest.policy, scores=scores, thresholds=thresholds)
    yield Decided(
        joint[0],
        None if scores is None else scores[0],
        decided[0],
        found.parts.get(0),
        found.objections.get(0, 0.0),
    )
