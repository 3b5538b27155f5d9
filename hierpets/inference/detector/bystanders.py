"""Search for other animals in a photo, which a product for the predicted pet might harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.inference.detector.network import Detections, Detector, known_animals
from hierpets.regions.boxes import Box
from hierpets.regions.detections import non_maximum_suppression

__all__ = ["SEARCH", "Bystanders", "Judge", "SearchRule"]

Judge = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Maps N parts of photos, each RGB uint8 [H, W, 3], to their species probabilities, float [N, S]."""


class SearchRule(NamedTuple):
    """How a photo is searched, and what counts as another animal (docs/experiments.md).

    The detector sees squares of 300 pixels, in which a small animal of a whole photo is lost. It therefore also sees
    two closer views, whose sides are the ``view`` shares of the longer and the shorter side of the photo. Boxes with
    another animal of a probability of at least ``min_score``, up to ``max_boxes`` of them, the likeliest first, are
    classified by the network. A species counts from a probability of ``min_probability`` on, which is low because harm
    weighs twenty times as much as suiting the pet. Probabilities are capped at ``max_probability``: in 1 of 20 photos
    of a dog, a cat is found that is not there.
    """

    min_score: float = 0.03
    min_probability: float = 0.05
    max_boxes: int = 3
    max_probability: float = 0.9
    view: tuple[float, float] = (0.6, 0.85)

    def views(self, height: int, width: int) -> tuple[Box, ...]:
        """The views of a photo of this size that the detector sees: the whole, and two parts where animals tend to be.

        The parts lie side by side at the bottom or, in an upright photo, one above the other in the middle.
        """
        whole = Box(left=0, top=0, width=1, height=1)
        long, short = self.view
        if width >= height:
            parts = [Box(left=left, top=1 - short, width=long, height=short) for left in (0, 1 - long)]
        else:
            parts = [Box(left=(1 - short) / 2, top=top, width=short, height=long) for top in (0, 1 - long)]
        return whole, *parts


SEARCH = SearchRule()


class Bystanders:
    """Searches photos for animals of a model's ``species`` beside the predicted pet.

    The ``detector`` knows few species but misses few animals of these; the model then classifies what it finds.
    """

    def __init__(self, detector: Detector, species: Sequence[str], rule: SearchRule = SEARCH):
        self._detector, self._species, self._rule = detector, tuple(species), rule

    def __call__(self, read: Callable[[], np.ndarray], judge: Judge, pet: str) -> np.ndarray:
        """For each species the probability that an animal of it is beside the pet, float [S].

        It is zero for the species of the ``pet`` itself, and where no animal is found. ``read`` decodes the photo, RGB
        uint8 [H, W, 3]; ``judge`` classifies parts of it.

        :raises ImageError: the photo cannot be read.
        """
        none = np.zeros(len(self._species))
        others = [name for name in known_animals(self._species) if name != pet]
        if not others:
            return none
        photo, rule = read(), self._rule
        seen = self._see(photo)
        scores = seen.probability(others)
        boxes = non_maximum_suppression(seen.edges, scores, min_score=rule.min_score, max_boxes=rule.max_boxes)
        if not boxes:
            return none
        shown = judge([found.box.squared(*photo.shape[:2]).cut(photo) for found in boxes]).max(axis=0)
        is_other = np.array([name != pet for name in self._species])
        return np.where(is_other & (shown >= rule.min_probability), np.minimum(shown, rule.max_probability), none)

    def _see(self, photo: np.ndarray) -> Detections:
        """The detections in all views of a photo, in coordinates of the whole photo."""
        found = [(view, self._detector(view.cut(photo))) for view in self._rule.views(*photo.shape[:2])]
        edges = [_to_photo(seen.edges, view) for view, seen in found]
        return Detections(np.concatenate(edges), np.concatenate([seen.logits for _, seen in found]))


def _to_photo(edges: np.ndarray, view: Box) -> np.ndarray:
    """Convert edges [N, 4] (top, left, bottom, right) from shares of a view to shares of the photo."""
    start, size = np.array([view.top, view.left] * 2), np.array([view.height, view.width] * 2)
    return start + size * edges.clip(0, 1)
