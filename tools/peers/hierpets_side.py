"""hierpets, through its public functions, with everything that ``hierpets predict`` does for each photo."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hierpets.data.photos import NamedPhoto
from hierpets.inference.loading import load as load_bundle
from hierpets.inference.predictor import Predictor
from hierpets.model.manifest import read_manifest
from hierpets.workers import cores

__all__ = ["HierpetsSide", "load"]


class HierpetsSide:
    """A bundle, loaded as each use wants it: one photo with all cores, or many, each with a core of its own."""

    def __init__(self, bundle: Path, precision: Any):
        self._load = lambda streams: load_bundle(bundle, device="cpu", precision=precision, workers=streams)
        manifest = read_manifest(bundle)
        self._labels = [f"{leaf.species}/{leaf.breed or '-'}" for leaf in manifest.taxonomy.leaves]

    @cached_property
    def _for_one(self) -> Predictor:
        return self._load(1)

    @cached_property
    def _for_many(self) -> Predictor:
        return self._load(cores())

    def one(self, photo: str | NamedPhoto) -> str:
        """The likeliest leaf, whatever the level of the answer."""
        return self._answer(self._for_one, [photo])[0]

    def many(self, photos: Sequence[str]) -> list[str]:
        return self._answer(self._for_many, photos)

    def _answer(self, predictor: Predictor, photos: Sequence[str | NamedPhoto]) -> list[str]:
        return [self._label(prediction) for prediction in predictor.predict(photos)]

    def _label(self, prediction: Any) -> str:
        if prediction.error is not None:
            raise prediction.error
        return self._labels[int(prediction.joint.argmax())]


def load(model: Path, precision: str = "auto") -> HierpetsSide:
    """On the CPU, whatever else is there. ``model``: a bundle."""
    return HierpetsSide(model, precision)
