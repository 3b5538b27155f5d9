"""The view of a second look: the animal in a photo, cut out where it is small, as it will be when the model is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from hierpets.inference.detector.network import VERSION, Detector, known_animals
from hierpets.inference.detector.second_look import closer_part
from hierpets.inference.engines.cascade import DETAIL
from hierpets.progress import Progress
from hierpets.regions.boxes import MARGIN
from hierpets.regions.detections import LARGE, LEAST_SCORE, LEAST_SIDE, SHARED
from hierpets.training.features.extractor import FeatureExtractor, NothingToSee
from hierpets.workers import cores

__all__ = ["CloserView"]

MOST = 8  # photos that are looked at by the detector at a time


@dataclass(frozen=True)
class CloserView:
    """A photo, cut down to an animal of one of the ``species`` where that is small.

    Features that are kept are known by ``rule``: the version of the detector, and all that decides what is cut out.
    """

    species: tuple[str, ...]
    rule: tuple[float, ...] = (VERSION, DETAIL, MARGIN, LEAST_SCORE, SHARED, LEAST_SIDE, LARGE)

    detail: ClassVar[int] = DETAIL

    @classmethod
    def of(cls, species: Sequence[str]) -> CloserView | None:
        """That of a model's species; None where the detector knows none of them."""
        known = known_animals(species)
        return cls(known) if known else None

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        part = closer_part(_detector()(photo), self.species, photo)
        if part is None:
            raise NothingToSee("no small animal")
        return part.cut(photo)

    def features(self, extractor: FeatureExtractor, paths: Sequence[str], *, progress: Progress) -> np.ndarray:
        """The features float32 [N, D] of a second look at photos, by their paths; zero without a small animal."""
        return extractor.features_of_views(paths, [self] * len(paths), task="features (second look)", progress=progress)


@cache
def _detector() -> Detector:
    """One for a process, whose photos are read by as many threads; each of its graphs takes memory."""
    return Detector(workers=min(cores(), MOST))
