"""The tensor at every stage of prediction: decoded, transformed, features, logits, probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierpets.data.photos import Photo
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.predictor import Predictor
from hierpets.inference.stages import Decided, Decoded, NetworkRun, Preprocessed, StageResult, prediction_stages

__all__ = ["NETWORK_INPUT", "TraceStep", "trace_photo"]

NETWORK_INPUT = "transformed"


@dataclass(frozen=True)
class TraceStep:
    """An array inside the pipeline, and what it holds."""

    name: str
    array: np.ndarray
    meaning: str

    def line(self) -> str:
        """Shape, type, range, mean and spread in one line; NaN and infinite values are counted, not averaged over."""
        values = self.array.astype(np.float64)
        finite = values[np.isfinite(values)]
        shape = "x".join(map(str, self.array.shape))
        if finite.size:
            range_ = f"min {finite.min():.4g}  max {finite.max():.4g}  mean {finite.mean():.4g}  std {finite.std():.4g}"
        else:
            range_ = "no finite value"
        return (
            f"{self.name:<22} {shape:<12} {self.array.dtype!s:<8} {range_}"
            f"  NaN {int(np.isnan(values).sum())}  Inf {int(np.isinf(values).sum())}"
        )

    @property
    def broken(self) -> bool:
        """Whether a value is NaN or infinite."""
        return not bool(np.isfinite(self.array.astype(np.float64)).all())


def trace_photo(predictor: Predictor, photo: Photo) -> Iterator[TraceStep]:
    """Every array of one photo's prediction, in order. :raises ImageError: it cannot be read."""
    for result in prediction_stages(predictor, photo):
        yield from _steps(predictor, result)


def _steps(predictor: Predictor, result: StageResult) -> Iterator[TraceStep]:
    tree = predictor.manifest.taxonomy
    match result:
        case Decoded(pixels):
            yield TraceStep("decoded", pixels, "RGB, upright")
        case Preprocessed(inputs):
            yield TraceStep(NETWORK_INPUT, inputs, "the network's input, RGB planes")
        case NetworkRun(output):
            yield from _network_steps(predictor, output)
        case Decided(joint, _):
            species = species_probabilities(joint[None], tree)[0]
            yield TraceStep("species probabilities", species, ", ".join(tree.species))
            yield TraceStep("leaf probabilities", joint, f"sum {joint.sum():.6f}")


def _network_steps(predictor: Predictor, output: RawOutput) -> Iterator[TraceStep]:
    manifest = predictor.manifest
    yield TraceStep("features", output.features[0], f"of {manifest.backbone.name}")
    yield TraceStep("species logits", output.species[0], ", ".join(manifest.taxonomy.species))
    yield TraceStep("leaf logits", output.leaf[0], f"{len(manifest.taxonomy.leaves)} leaves")
    species, leaf = predictor.calibrated(output)
    yield TraceStep("calibrated species", species[0], f"temperature {manifest.temperatures.species:.3g}")
    yield TraceStep("calibrated leaves", leaf[0], "one temperature per species")
