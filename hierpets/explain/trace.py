"""The tensor at every stage of prediction: decoded, transformed, features, logits, probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hierpets.data.photos import Photo
from hierpets.data.transforms import normalize
from hierpets.hierarchy.decision import named_probabilities
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.engines.cascade import StageOutput
from hierpets.inference.predictor import Predictor
from hierpets.inference.stages import Decided, Decoded, NetworkRun, Preprocessed, StageResult, prediction_stages

__all__ = ["NETWORK_INPUT", "TraceStep", "trace_photo"]

NETWORK_INPUT = "transformed"


@dataclass(frozen=True)
class TraceStep:
    """An array of the pipeline, and what it means."""

    name: str
    array: np.ndarray
    meaning: str

    def line(self) -> str:
        """Shape, type, range, mean and standard deviation in one line; NaN and infinite values are counted and left
        out.
        """
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
    """Every array in the prediction of one photo, in order: those of the first look, and what a second look changed.

    :raises ImageError: it cannot be read.
    """
    for result in prediction_stages(predictor, photo):
        yield from _steps(predictor, result)


def _steps(predictor: Predictor, result: StageResult) -> Iterator[TraceStep]:
    tree = predictor.manifest.taxonomy
    match result:
        case Decoded(pixels):
            yield TraceStep("decoded", pixels, "RGB, upright")
        case Preprocessed(squares):
            for number, network in enumerate(predictor.manifest.networks):
                planes = normalize(network.preprocess, squares[number])
                yield TraceStep(_at(NETWORK_INPUT, number, predictor), planes, f"the input of {network.backbone.name}")
        case NetworkRun(stages):
            for number, stage in enumerate(stages):
                yield from _network_steps(predictor, number, stage)
        case Decided(joint, scores, _, second_look, objection):
            if second_look is not None:
                edges = "left, top, right and bottom of what was looked at again"
                yield TraceStep("second look", np.array(second_look.edges), edges)
            if objection:
                why = "by so much the pet score is lower, for it looks like another animal"
                yield TraceStep("objection", np.array([objection]), why)
            species = species_probabilities(joint, tree)
            species_names = ", ".join(tree.species)
            yield TraceStep("species probabilities", species, species_names)
            yield TraceStep("leaf probabilities", joint, f"sum {joint.sum():.6f}")
            if scores is not None:
                listed = scores[1:].astype(np.float64)
                yield TraceStep("pet score", scores[:1], "below its threshold the photo shows no known pet")
                yield TraceStep("listed", listed, f"the probability that the breed is a listed one: {species_names}")
                named = named_probabilities(joint[None], listed[None], tree)[0]
                yield TraceStep("named probabilities", named, "those of breeds times that of being listed")


def _network_steps(predictor: Predictor, number: int, stage: StageOutput) -> Iterator[TraceStep]:
    manifest, output = predictor.manifest.alone(number), stage.output
    species, leaf = manifest.temperatures.apply(output.species, output.leaf, manifest.taxonomy)
    steps = [
        TraceStep("features", output.features[0], f"of {manifest.backbone.name}"),
        TraceStep("species logits", output.species[0], ", ".join(manifest.taxonomy.species)),
        TraceStep("leaf logits", output.leaf[0], f"{len(manifest.taxonomy.leaves)} leaves"),
        TraceStep("scores", output.scores[0], "the pet score, and for each species that its breed is a listed one"),
        TraceStep("calibrated species", species[0], f"temperature {manifest.temperatures.species:.3g}"),
        TraceStep("calibrated leaves", leaf[0], "one temperature per species"),
    ]
    if number < len(predictor.manifest.early):
        certain, threshold = predictor.cascade.certainty(number, output), predictor.manifest.early[number].threshold
        steps.append(
            TraceStep("certainty", certain, f"of the best leaf; it answers above its threshold, {threshold:.3g}")
        )
    yield from (replace(step, name=_at(step.name, number, predictor)) for step in steps)


def _at(name: str, stage: int, predictor: Predictor) -> str:
    """The name of a step, with the stage of its network if there are several."""
    return f"{name} ({stage})" if predictor.manifest.early else name
