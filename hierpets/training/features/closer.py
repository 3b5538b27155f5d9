"""The view of a second look: a crop around the animal if it is small in the photo, as in prediction."""

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
from hierpets.regions.detections import MAX_OVERLAP, MAX_SHARE, MIN_SCORE, MIN_SIDE
from hierpets.training.features.extractor import FeatureExtractor, NothingToSee
from hierpets.workers import cores

__all__ = ["CloserView"]

MAX_WORKERS = 8  # photos in the detector at a time


@dataclass(frozen=True)
class CloserView:
    """Crop a photo to a small animal of one of the ``species``.

    ``rule`` holds the detector's version and all parameters of the crop, so that cached features depend on them.
    """

    species: tuple[str, ...]
    rule: tuple[float, ...] = (VERSION, DETAIL, MARGIN, MIN_SCORE, MAX_OVERLAP, MIN_SIDE, MAX_SHARE)

    detail: ClassVar[int] = DETAIL

    @classmethod
    def of(cls, species: Sequence[str]) -> CloserView | None:
        """Return the view for a model's species; None if the detector knows none of them."""
        known = known_animals(species)
        return cls(known) if known else None

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        part = closer_part(_detector()(photo), self.species, photo)
        if part is None:
            raise NothingToSee("no small animal")
        return part.cut(photo)

    def features(self, extractor: FeatureExtractor, paths: Sequence[str], *, progress: Progress) -> np.ndarray:
        """Return the features float32 [N, D] of a second look at photos; rows without a small animal are zero."""
        return extractor.features_of_views(paths, [self] * len(paths), task="features (second look)", progress=progress)


@cache
def _detector() -> Detector:
    """Return the detector of this process, with a graph for each thread that reads photos, up to a limit for memory."""
    return Detector(workers=min(cores(), MAX_WORKERS))
