"""The worst mistakes, as thumbnails inside the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from hierpets.errors import HierpetsError
from hierpets.evaluation.metrics.hierarchical import lca_height
from hierpets.evaluation.predictions import Predictions
from hierpets.evaluation.records import EvaluationRecord, inside, records_of
from hierpets.thumbnails import data_uri

__all__ = ["Mistake", "Overlay", "Photos", "worst_mistakes"]

Photos = Callable[[str], np.ndarray]
"""From a photo's path to RGB uint8 [H, W, 3]; raises ``HierpetsError`` when it cannot be read."""

_THUMBNAIL = 320  # pixels of the longer side
_OF_A_KIND = 2


class Overlay(Protocol):
    """Shows which part of a photo spoke for a leaf."""

    def __call__(self, path: str, *, leaf: int) -> np.ndarray | None:
        """RGB uint8 [H, W, 3], or None when there is nothing to show."""
        ...


@dataclass(frozen=True)
class Mistake:
    """One mistake: its record, its path in short, whether even the species is wrong, its pictures as data URIs."""

    record: EvaluationRecord
    path: str
    cross_species: bool
    photo: str | None
    overlay: str | None


def worst_mistakes(
    predictions: Predictions, *, count: int, photos: Photos | None, overlay: Overlay | None
) -> list[Mistake]:
    """At most ``count`` mistakes: wrong species first, then by how much more probable the wrong leaf than the true one.

    A photo whose breed is not labeled is a mistake when its species is wrong. The same confusion is shown twice at
    most, so that the gallery shows many kinds of mistakes.
    """
    rows = _of_many_kinds(predictions, _worst_rows(predictions))[:count]
    short = inside(predictions.paths)
    return list(_mistakes(predictions.take(rows), [short[i] for i in rows], photos, overlay)) if rows.size else []


def _worst_rows(predictions: Predictions) -> np.ndarray:
    rows = np.arange(len(predictions))
    labeled = predictions.leaf_true >= 0
    height = lca_height(predictions.taxonomy)
    wrong_species = predictions.top_leaf_species != predictions.species_true
    severity = np.where(labeled, height[predictions.leaf_true, predictions.top_leaf], height.max() * wrong_species)
    of_leaf = predictions.probabilities[rows, predictions.leaf_true]
    of_species = predictions.species_probabilities[rows, predictions.species_true]
    margin = predictions.probabilities.max(axis=1) - np.where(labeled, of_leaf, of_species)
    order = np.lexsort((-margin, -severity))
    return order[severity[order] > 0]


def _of_many_kinds(predictions: Predictions, rows: np.ndarray) -> np.ndarray:
    seen: Counter[tuple[int, int, int]] = Counter()
    kept = []
    for i in rows:
        kind = (int(predictions.species_true[i]), int(predictions.leaf_true[i]), int(predictions.top_leaf[i]))
        seen[kind] += 1
        if seen[kind] <= _OF_A_KIND:
            kept.append(i)
    return np.array(kept, dtype=int)


def _mistakes(
    chosen: Predictions, paths: list[str], photos: Photos | None, overlay: Overlay | None
) -> Iterator[Mistake]:
    for i, (path, record) in enumerate(zip(chosen.paths, records_of(chosen), strict=True)):
        yield Mistake(
            record=record,
            path=paths[i],
            cross_species=bool(chosen.top_leaf_species[i] != chosen.species_true[i]),
            photo=_picture(photos, path) if photos else None,
            overlay=_picture(partial(overlay, leaf=int(chosen.top_leaf[i])), path) if overlay else None,
        )


def _picture(load: Callable[[str], np.ndarray | None], path: str) -> str | None:
    """None for a photo that has been removed since the evaluation."""
    try:
        pixels = load(path)
    except HierpetsError:
        return None
    return None if pixels is None else data_uri(pixels, _THUMBNAIL)
