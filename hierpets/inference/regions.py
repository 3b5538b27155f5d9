"""The animals in a photo: where they are, and a prediction for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from hierpets.data.photos import NamedPhoto
from hierpets.hierarchy.probabilities import log_softmax, species_probabilities
from hierpets.inference.detector.network import Detector, known_animals
from hierpets.inference.engines.places import PlaceEngine
from hierpets.inference.prediction import Prediction, Region
from hierpets.plugin import Preprocess
from hierpets.recommend.result import RecommendationRecord
from hierpets.regions.animals import find_candidates
from hierpets.regions.candidates import MAX_BOXES, Candidates, Finder
from hierpets.regions.detections import detected
from hierpets.regions.distinct import keep_distinct
from hierpets.regions.files import FoundBox
from hierpets.taxonomy import Taxonomy

__all__ = [
    "FoundRegions",
    "RegionFinder",
    "advise_together",
    "answer_boxes",
    "distinct_regions",
    "finder_sizes",
]

ENLARGED = (1.8, 2.2)  # times the input side of the network: animals are smaller in a whole photo
STRIDE = 32  # input sides are multiples of it, so that every place of the last feature map covers as much
BLANK = 127  # gray padding beside a photo that is not square


class FoundRegions(NamedTuple):
    """The regions of a photo, and the predictions for other candidates that look like a pet but are no region.

    The latter, ``unshown``, may be a part of an animal that has a region, too small to be told apart, or a horse by the
    detector.
    """

    regions: tuple[Region, ...]
    unshown: tuple[Prediction, ...] = ()


def finder_sizes(preprocess: Preprocess) -> tuple[int, ...]:
    """Sides, in pixels, of the squares in which a photo is searched: in the first and in the closer look."""
    return tuple(STRIDE * round(enlarged * preprocess.size / STRIDE) for enlarged in ENLARGED)


class RegionFinder:
    """Finds animals by the outputs of the main network at each place, and by a detector, which knows some ``species``.

    ``pet_threshold`` is the lowest pet score of an animal. The first of the ``looks`` sees the photo in a smaller
    square than the second.
    """

    def __init__(
        self,
        looks: tuple[PlaceEngine, PlaceEngine],
        pet_threshold: float,
        *,
        detector: Detector,
        species: Sequence[str],
    ):
        self._looks, self._pet_threshold = looks, pet_threshold
        self._detector, self._species = detector, known_animals(species)

    def check(self) -> None:
        """Check that regions can be found, before the first photo. This compiles the graph of the first look; that of
        the closer one comes from the same file.

        :raises BundleError: the graph is missing or damaged.
        :raises ConfigError: the backbone has no spatial feature map.
        """
        self._looks[0].compiled()

    def __call__(self, pixels: np.ndarray) -> Candidates:
        """Candidates for the animals in a photo, RGB uint8 [H, W, 3]."""
        first, closer = (self._look(places, pixels) for places in self._looks)
        if not self._species:
            return first.and_those(closer.found_by(Finder.CLOSER_LOOK))
        seen = self._detector(pixels)
        found = detected(seen.edges, seen.probability(self._species))
        return first.and_those(found).and_those(closer.found_by(Finder.CLOSER_LOOK))

    def _look(self, places: PlaceEngine, pixels: np.ndarray) -> Candidates:
        square, extent = _fitted(pixels, places.size)
        output, side = places(square)
        return find_candidates(
            output.scores[:, 0].reshape(side, side),
            log_softmax(output.species).reshape(side, side, -1),
            output.features.reshape(side, side, -1),
            pet_threshold=self._pet_threshold,
            extent=(extent[0] * side, extent[1] * side),
        )


def answer_boxes(
    name: str,
    pixels: np.ndarray,
    boxes: Sequence[FoundBox],
    predict: Callable[[Sequence[NamedPhoto]], Sequence[Prediction]],
) -> tuple[Region, ...]:
    """Predict the content of each box as a photo of its own, by ``predict``.

    :raises HierpetsError: one cannot be predicted.
    """
    regions: list[Region] = []
    for start in range(0, len(boxes), MAX_BOXES):  # a file may have any number of boxes, each as large as the photo
        some = boxes[start : start + MAX_BOXES]
        answers = predict([NamedPhoto(name, found.box.squared(*pixels.shape[:2]).cut(pixels)) for found in some])
        for found, answer in zip(some, answers, strict=True):
            if answer.error is not None:
                raise answer.error
            regions.append(Region(found.box, found.score, answer))
    return tuple(regions)


def distinct_regions(candidates: Candidates, answered: Sequence[Region]) -> FoundRegions:
    """Keep one region for each animal: candidates that are no known pet are dropped, and those of one animal merged.

    This ignores ``only``: an animal that must not be named must not be harmed either.
    """
    predictions = [one.prediction for one in answered]
    answers = [_seen(one) if one.species is not None and one.looks_like_a_pet else None for one in predictions]
    kept = keep_distinct(candidates, answers)
    unshown = (one for row, one in enumerate(predictions) if row not in kept and _may_be_a_pet(one))
    return FoundRegions(tuple(answered[row] for row in kept), tuple(unshown))


def _may_be_a_pet(one: Prediction) -> bool:
    """Whether it looks like a pet to the network, even if the detector objects: if it may be one, it must not be
    harmed.
    """
    score = None if one.pet_score is None else one.pet_score + one.objection
    return replace(one, pet_score=score).looks_like_a_pet


def advise_together(
    whole: Prediction,
    found: FoundRegions,
    advise: Callable[[Prediction, Sequence[np.ndarray]], RecommendationRecord | None],
    taxonomy: Taxonomy,
) -> Prediction:
    """The prediction with its regions, all with recommendations that harm none of the animals in the photo.

    ``advise`` takes a prediction and the species probabilities of each animal beside it, float [S].
    """
    species = [_species_of(region.prediction, taxonomy) for region in found.regions]
    unshown = [_looks_like(one, taxonomy) for one in found.unshown]
    # What the whole photo looks like, however unsure, may be an animal outside of all boxes.
    outside = [*unshown, _looks_like(whole, taxonomy)]

    def advised(one: Prediction, beside: Sequence[np.ndarray]) -> Prediction:
        return replace(one, recommendation=advise(one, beside))

    regions = (
        replace(region, prediction=advised(region.prediction, [*species[:i], *species[i + 1 :], *outside]))
        for i, region in enumerate(found.regions)
    )
    return replace(advised(whole, [*species, *unshown]), regions=tuple(regions))


def _species_of(prediction: Prediction, taxonomy: Taxonomy) -> np.ndarray:
    """Species probabilities, whatever ``only`` allows, float [S]; zeros for an animal of no known species."""
    known = prediction.level != "unknown" and prediction.looks_like_a_pet
    return _looks_like(prediction, taxonomy) if known else np.zeros(len(taxonomy.species))


def _looks_like(prediction: Prediction, taxonomy: Taxonomy) -> np.ndarray:
    """Species probabilities, whatever ``only`` allows, float [S], given that it is of a known species."""
    return species_probabilities(_seen(prediction), taxonomy)


def _seen(prediction: Prediction) -> np.ndarray:
    """Leaf probabilities, whatever ``only`` allows, float [L]."""
    joint = prediction.joint if prediction.unrestricted is None else prediction.unrestricted
    assert joint is not None  # a photo that cannot be read has no regions
    return joint


def _fitted(photo: np.ndarray, size: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Fit the whole photo into the upper left of a square, uint8 [size, size, 3]; also return the shares of the
    square's height and width that it takes.
    """
    scale = size / max(photo.shape[:2])
    height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    square = np.full((size, size, 3), BLANK, np.uint8)
    square[:height, :width] = cv2.resize(photo, (width, height), interpolation=how)
    return square, (height / size, width / size)
