"""Other animals in a photo, which what suits the one that it is answered with may harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.inference.detector.network import Detections, Detector, known_animals
from hierpets.regions.boxes import Box
from hierpets.regions.detections import non_maximum_suppression

__all__ = ["SEARCH", "Bystanders", "Judge", "SearchRule"]

Judge = Callable[[Sequence[np.ndarray]], np.ndarray]
"""How probable each species of the model is in parts of photos, each RGB uint8 [H, W, 3]: float [N, S]."""


class SearchRule(NamedTuple):
    """How a photo is searched, and what counts for another animal (docs/experiments.md).

    The detector sees squares of 300 pixels, in which a small animal of a whole photo is lost: it is shown two closer
    views as well, each a ``view`` of so much of the longer side, and of the shorter one. Where another animal has a
    probability of ``least_seen`` to it, the network is asked what that box shows, about ``most_boxes`` of them, the
    likeliest ones. A probability of ``least_shown`` is enough to that: harm weighs twenty times as much as what suits
    the pet. Whatever it says, what is found is no more probable than ``most_sure``: one dog in twenty has a cat beside
    it where there is none.
    """

    least_seen: float = 0.03
    least_shown: float = 0.05
    most_boxes: int = 3
    most_sure: float = 0.9
    view: tuple[float, float] = (0.6, 0.85)

    def views(self, height: int, width: int) -> tuple[Box, ...]:
        """What the detector is shown of a photo of so many pixels: the whole, and two parts where animals stand: side
        by side at the bottom, or, of an upright photo, one above the other in the middle.
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
    """Looks for animals of a model's ``species`` beside the one that a photo is answered with: by a ``detector``, which
    knows few of them, and overlooks few of these; and by the model itself, which says what it takes for one.
    """

    def __init__(self, detector: Detector, species: Sequence[str], rule: SearchRule = SEARCH):
        self._detector, self._species, self._rule = detector, tuple(species), rule

    def __call__(self, read: Callable[[], np.ndarray], judge: Judge, pet: str) -> np.ndarray:
        """For each species the probability that one of it is beside the pet, float [S]; zero for that of the ``pet``
        and where none is seen. ``read`` gives the photo, RGB uint8 [H, W, 3].

        :raises ImageError: it cannot be read.
        """
        none = np.zeros(len(self._species))
        others = [name for name in known_animals(self._species) if name != pet]
        if not others:
            return none
        photo, rule = read(), self._rule
        seen = self._see(photo)
        scores = seen.probability(others)
        boxes = non_maximum_suppression(seen.edges, scores, least=rule.least_seen, most=rule.most_boxes)
        if not boxes:
            return none
        shown = judge([found.box.squared(*photo.shape[:2]).cut(photo) for found in boxes]).max(axis=0)
        is_other = np.array([name != pet for name in self._species])
        return np.where(is_other & (shown >= rule.least_shown), np.minimum(shown, rule.most_sure), none)

    def _see(self, photo: np.ndarray) -> Detections:
        """What the detector sees in all views of a photo."""
        found = [(view, self._detector(view.cut(photo))) for view in self._rule.views(*photo.shape[:2])]
        edges = [_as_of_whole(seen.edges, view) for view, seen in found]
        return Detections(np.concatenate(edges), np.concatenate([seen.logits for _, seen in found]))


def _as_of_whole(edges: np.ndarray, view: Box) -> np.ndarray:
    """Edges [N, 4] as shares of a photo, of those as shares of a view: upper, left, lower and right ones."""
    start, size = np.array([view.top, view.left] * 2), np.array([view.height, view.width] * 2)
    return start + size * edges.clip(0, 1)
