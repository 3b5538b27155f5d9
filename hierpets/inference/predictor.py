"""From photos to answers: decode, run the engine, combine, decide, recommend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.photos import DEFAULT_LIMITS, Limits, Source
from hierpets.errors import ImageError
from hierpets.hierarchy.decision import Decision, Thresholds, decide
from hierpets.hierarchy.probabilities import joint_probabilities
from hierpets.inference.engine import Device, Engine, EngineName, RawOutput, choose_device, choose_engine
from hierpets.model.bundle import GRAPH, Manifest, read_manifest, read_network
from hierpets.recommend.choose import Recommender
from hierpets.registry.loading import Registry, load_registry

__all__ = ["Photo", "Prediction", "Predictor", "load"]

CHUNK = 256


class Photo(NamedTuple):
    """A photo that does not lie at a path of its own: the name it goes by in its answer, and its bytes or pixels."""

    name: str
    source: Source


@dataclass(frozen=True)
class Prediction:
    """The answer for one photo, or the error that stands in its place. ``joint`` is float64 [L]."""

    path: str
    thresholds: Thresholds
    decision: Decision | None = None
    joint: np.ndarray | None = None
    recommendation: dict[str, Any] | None = None
    error: ImageError | None = None

    def to_json(self) -> dict[str, Any]:
        """The record of ``docs/output.md``: every key is always there."""
        d = self.decision
        return {
            "path": self.path,
            "level": d.level if d else None,
            "species": {"label": d.species, "probability": d.species_probability} if d else None,
            "breed": {"label": d.breed, "probability": d.breed_probability} if d and d.level == "breed" else None,
            "top": [{"species": leaf.species, "breed": leaf.breed, "probability": p} for leaf, p in d.top] if d else [],
            "source": d.source if d else None,
            "reason": d.reason if d else None,
            "thresholds": self.thresholds.model_dump(),
            "recommendation": self.recommendation,
            "error": {"type": type(self.error).__name__, "message": str(self.error)} if self.error else None,
        }


class Predictor:
    """A loaded bundle. One is enough for any number of photos."""

    def __init__(self, manifest: Manifest, engine: Engine, recommender: Recommender | None = None):
        self.manifest = manifest
        self.engine = engine
        self._recommender = recommender

    @property
    def recommends(self) -> bool:
        """Whether its answers name a product."""
        return self._recommender is not None

    def joint(self, output: RawOutput) -> np.ndarray:
        """Calibrated joint probabilities float64 [B, L] of a batch."""
        m = self.manifest
        species, leaf = m.temperatures.apply(output.species, output.leaf, m.taxonomy)
        return joint_probabilities(species, leaf, m.taxonomy, combiner=m.combiner)

    def predict(
        self,
        photos: Iterable[str | Photo],
        *,
        top_k: int = 3,
        batch_size: int = 8,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Iterator[Prediction]:
        """One answer a photo, in their order; a photo that cannot be read becomes its error. A ``str`` is a path."""
        remaining = (photo if isinstance(photo, Photo) else Photo(photo, photo) for photo in photos)
        while chunk := list(islice(remaining, CHUNK)):
            yield from self._predict_chunk(chunk, top_k=top_k, batch_size=batch_size, limits=limits)

    def _predict_chunk(
        self, photos: Sequence[Photo], *, top_k: int, batch_size: int, limits: Limits
    ) -> list[Prediction]:
        answers: dict[int, Prediction] = {}

        def fail(index: int, error: ImageError) -> None:
            answers[index] = Prediction(photos[index].name, self.manifest.thresholds, error=error)

        sources = (photo.source for photo in photos)
        for indices, inputs in iter_inputs(
            sources, self.manifest.preprocess, batch_size=batch_size, limits=limits, on_error=fail
        ):
            for index, row in zip(indices, self.joint(self.engine(inputs)), strict=True):
                answers[index] = self._answer(photos[index].name, row, top_k)
        return [answers[i] for i in range(len(photos))]

    def _answer(self, path: str, joint: np.ndarray, top_k: int) -> Prediction:
        m = self.manifest
        decision = decide(joint, m.taxonomy, m.thresholds, top_k=top_k)
        advice = self._recommender.recommend(joint, m.taxonomy, decision.level) if self._recommender else None
        return Prediction(path, m.thresholds, decision, joint, advice.to_json() if advice else None)


def load(
    bundle: str | Path,
    *,
    engine: EngineName = "auto",
    device: Device = "auto",
    registry: Registry | None = None,
    recommend: bool = True,
) -> Predictor:
    """Load a bundle folder.

    :raises BundleError: no bundle there, or a damaged one.
    :raises DeviceError: the device or engine that was asked for is not there.
    """
    folder = Path(bundle)
    manifest = read_manifest(folder)
    registry = registry or load_registry()
    chosen_device = choose_device(device)
    runner: Engine
    if choose_engine(engine, chosen_device) == "openvino":
        from hierpets.inference.openvino_engine import OpenVinoEngine

        runner = OpenVinoEngine(folder / GRAPH)
    else:
        from hierpets.inference.torch_engine import TorchEngine

        runner = TorchEngine(read_network(folder, manifest, registry), chosen_device)
    return Predictor(manifest, runner, Recommender.load(registry) if recommend else None)
