"""The tensor at every station of a photo's way: decoded, transformed, features, logits, probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.predictor import Predictor

__all__ = ["TraceStep", "walk"]


@dataclass(frozen=True)
class TraceStep:
    """An array on the way, and what it holds."""

    name: str
    array: np.ndarray
    meaning: str

    def line(self) -> str:
        """Shape, type, range, mean and spread in one line; NaN and infinite values are counted, not averaged over."""
        values = self.array.astype(np.float64)
        finite = values[np.isfinite(values)]
        shape = "x".join(map(str, self.array.shape))
        if not finite.size:
            told = "no finite value"
        else:
            told = f"min {finite.min():.4g}  max {finite.max():.4g}  mean {finite.mean():.4g}  std {finite.std():.4g}"
        return (
            f"{self.name:<22} {shape:<12} {self.array.dtype!s:<8} {told}"
            f"  NaN {int(np.isnan(values).sum())}  Inf {int(np.isinf(values).sum())}"
        )

    @property
    def broken(self) -> bool:
        """Whether a value is NaN or infinite."""
        return not bool(np.isfinite(self.array.astype(np.float64)).all())


def walk(predictor: Predictor, path: str) -> Iterator[TraceStep]:
    """Every station of one photo, in order, by the very steps of prediction. :raises ImageError: it cannot be read."""
    manifest = predictor.manifest
    tree = manifest.taxonomy
    photo = read_photo(path, shorter_side=manifest.preprocess.decoded_side)
    yield TraceStep("decoded", photo, "RGB, upright")
    inputs = apply(manifest.preprocess, photo)
    yield TraceStep("transformed", inputs, "the network's input, RGB planes")
    output = predictor.engine(inputs[None])
    yield TraceStep("features", output.features[0], f"of {manifest.backbone.name}")
    yield TraceStep("species logits", output.species[0], ", ".join(tree.species))
    yield TraceStep("leaf logits", output.leaf[0], f"{len(tree.leaves)} leaves")
    species, leaf = manifest.temperatures.apply(output.species, output.leaf, tree)
    yield TraceStep("calibrated species", species[0], f"temperature {manifest.temperatures.species:.3g}")
    yield TraceStep("calibrated leaves", leaf[0], "a temperature a species")
    joint = predictor.joint(output)
    yield TraceStep("species probabilities", species_probabilities(joint, tree)[0], ", ".join(tree.species))
    yield TraceStep("leaf probabilities", joint[0], f"sum {joint[0].sum():.6f}")
