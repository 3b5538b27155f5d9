"""The animals of a photo: where they are, and an answer for each."""

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
from hierpets.regions.candidates import MOST, Candidates, Finder
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

ENLARGED = (1.8, 2.2)  # times the side of the network's input: a whole photo is seen, in which animals are smaller
STRIDE = 32  # sides of inputs are multiples of it, so that every place of the last map sees as much
BLANK = 127  # gray, beside a photo that is no square


class FoundRegions(NamedTuple):
    """The regions of a photo, and the answers of what was found in it, looks like a pet and is shown in none: a part of
    one that is, an animal that is too small to be told, or one that may be a horse to the detector.
    """

    regions: tuple[Region, ...]
    unshown: tuple[Prediction, ...] = ()


def finder_sizes(preprocess: Preprocess) -> tuple[int, ...]:
    """Pixels on a side of the squares in which a photo is searched: at first, and in a closer look."""
    return tuple(STRIDE * round(enlarged * preprocess.size / STRIDE) for enlarged in ENLARGED)


class RegionFinder:
    """Finds animals by what the main network answers at each place, and by a detector, which knows some of the
    ``species``; ``least`` is the least pet score of an animal.

    The first of the ``looks`` sees the photo in a smaller square than the second.
    """

    def __init__(
        self,
        looks: tuple[PlaceEngine, PlaceEngine],
        least: float,
        *,
        detector: Detector,
        species: Sequence[str],
    ):
        self._looks, self._least = looks, least
        self._detector, self._species = detector, known_animals(species)

    def check(self) -> None:
        """Whether it can find any. It is asked before the first photo, and compiles the first look then; the closer one
        is cut from the same graph.

        :raises BundleError: the graph that it needs is missing or damaged.
        :raises ConfigError: the backbone has no map of places.
        """
        self._looks[0].compiled()

    def __call__(self, pixels: np.ndarray) -> Candidates:
        """What may be an animal in the photo, RGB uint8 [H, W, 3]."""
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
            least=self._least,
            extent=(extent[0] * side, extent[1] * side),
        )


def answer_boxes(
    name: str,
    pixels: np.ndarray,
    boxes: Sequence[FoundBox],
    predict: Callable[[Sequence[NamedPhoto]], Sequence[Prediction]],
) -> tuple[Region, ...]:
    """What is in each box, answered by ``predict`` as a photo of its own.

    :raises HierpetsError: one cannot be answered.
    """
    regions: list[Region] = []
    for start in range(0, len(boxes), MOST):  # a file may have any number of boxes, each as large as the photo
        some = boxes[start : start + MOST]
        answers = predict([NamedPhoto(name, found.box.squared(*pixels.shape[:2]).cut(pixels)) for found in some])
        for found, answer in zip(some, answers, strict=True):
            if answer.error is not None:
                raise answer.error
            regions.append(Region(found.box, found.score, answer))
    return tuple(regions)


def distinct_regions(candidates: Candidates, answered: Sequence[Region]) -> FoundRegions:
    """One region for each animal: what is no known pet is none, and two that answer alike are one. Whatever ``only``
    leaves out counts: of an animal that may not be named, others beside it must not be harmed.
    """
    predictions = [one.prediction for one in answered]
    answers = [_seen(one) if one.species is not None and one.looks_like_a_pet else None for one in predictions]
    kept = keep_distinct(candidates, answers)
    unshown = (one for row, one in enumerate(predictions) if row not in kept and _may_be_a_pet(one))
    return FoundRegions(tuple(answered[row] for row in kept), tuple(unshown))


def _may_be_a_pet(one: Prediction) -> bool:
    """Whether it looks like a pet to the network, whatever the detector objects: what may be one must not be harmed."""
    score = None if one.pet_score is None else one.pet_score + one.objection
    return replace(one, pet_score=score).looks_like_a_pet


def advise_together(
    whole: Prediction,
    found: FoundRegions,
    advise: Callable[[Prediction, Sequence[np.ndarray]], RecommendationRecord | None],
    taxonomy: Taxonomy,
) -> Prediction:
    """The photo with its regions, and shampoos that harm none of the animals in it; ``advise`` takes the species of
    those beside the one that it is for, each float [S].
    """
    species = [_species_of(region.prediction, taxonomy) for region in found.regions]
    unshown = [_looks_like(one, taxonomy) for one in found.unshown]
    # What the whole photo looks like, be it a little or no answer by itself, may be an animal that is in no box.
    outside = [*unshown, _looks_like(whole, taxonomy)]

    def again(one: Prediction, beside: Sequence[np.ndarray]) -> Prediction:
        return replace(one, recommendation=advise(one, beside))

    advised = (
        replace(region, prediction=again(region.prediction, [*species[:i], *species[i + 1 :], *outside]))
        for i, region in enumerate(found.regions)
    )
    return replace(again(whole, [*species, *unshown]), regions=tuple(advised))


def _species_of(prediction: Prediction, taxonomy: Taxonomy) -> np.ndarray:
    """float [S], summing to one, whatever ``only`` allows; to nothing for an animal that is not known."""
    known = prediction.level != "unknown" and prediction.looks_like_a_pet
    return _looks_like(prediction, taxonomy) if known else np.zeros(len(taxonomy.species))


def _looks_like(prediction: Prediction, taxonomy: Taxonomy) -> np.ndarray:
    """float [S], summing to one, as if it was of a known species, whatever ``only`` allows."""
    return species_probabilities(_seen(prediction), taxonomy)


def _seen(prediction: Prediction) -> np.ndarray:
    """The probabilities of leaves [L], whatever ``only`` allows."""
    joint = prediction.joint if prediction.unrestricted is None else prediction.unrestricted
    assert joint is not None  # only what could be read has regions
    return joint


def _fitted(photo: np.ndarray, size: int) -> tuple[np.ndarray, tuple[float, float]]:
    """The whole photo in the upper left of a square, uint8 [size, size, 3]; the shares of it down and across."""
    scale = size / max(photo.shape[:2])
    height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    square = np.full((size, size, 3), BLANK, np.uint8)
    square[:height, :width] = cv2.resize(photo, (width, height), interpolation=how)
    return square, (height / size, width / size)
