"""The gallery of the worst mistakes, as thumbnails embedded in the page."""

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
from hierpets.inference.record import LeafProbability
from hierpets.thumbnails import data_uri

__all__ = ["Mistake", "Overlay", "Photos", "worst_mistakes"]

Photos = Callable[[str], np.ndarray]
"""Reads the photo at a path as RGB uint8 [H, W, 3]; raises ``HierpetsError`` if it cannot be read."""

_THUMBNAIL = 320  # pixels of the longer side
_MAX_OF_A_KIND = 2


class Overlay(Protocol):
    """Shows which part of a photo counted as evidence for a leaf."""

    def __call__(self, path: str, *, leaf: int) -> np.ndarray | None:
        """Return the photo with the evidence, RGB uint8 [H, W, 3], or None if there is nothing to show."""
        ...


@dataclass(frozen=True)
class Mistake:
    """One mistake: its record, its shortened path, and its pictures as data URIs.

    ``top`` are the most probable leaves with the probabilities that the prediction states: lower than those of the
    record if the breed may not be listed. ``breeds`` are those of an answer that is a set of breeds. ``wrong_answer``
    says whether the answer is wrong, and not only the most probable leaf; ``cross_species`` whether that leaf is of
    another species.
    """

    record: EvaluationRecord
    path: str
    top: tuple[LeafProbability, ...]
    breeds: tuple[str, ...]
    wrong_answer: bool
    cross_species: bool
    photo: str | None
    overlay: str | None


def worst_mistakes(
    predictions: Predictions, *, count: int, photos: Photos | None, overlay: Overlay | None
) -> list[Mistake]:
    """Return at most ``count`` photos whose most probable leaf is wrong: wrong answers first, then wrong species, then
    by how much more probable the wrong leaf is than the true one.

    An answer that backs off to a true one, such as the species, is not wrong. A photo whose breed is not labeled is a
    mistake if its species is wrong. The same confusion is shown at most twice, so that the gallery is diverse.
    """
    rows = _limit_repeats(predictions, _worst_rows(predictions))[:count]
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
    if predictions.listed is not None:
        margin = margin * predictions.listed
    order = np.lexsort((-margin, -severity, predictions.holds_truth))
    return order[severity[order] > 0]


def _limit_repeats(predictions: Predictions, rows: np.ndarray) -> np.ndarray:
    """Keep the first few rows of each kind of confusion."""
    seen: Counter[tuple[int, int, int]] = Counter()
    kept = []
    for i in rows:
        kind = (int(predictions.species_true[i]), int(predictions.leaf_true[i]), int(predictions.top_leaf[i]))
        seen[kind] += 1
        if seen[kind] <= _MAX_OF_A_KIND:
            kept.append(i)
    return np.array(kept, dtype=int)


def _mistakes(
    chosen: Predictions, paths: list[str], photos: Photos | None, overlay: Overlay | None
) -> Iterator[Mistake]:
    leaves = chosen.taxonomy.leaves
    for i, (path, record) in enumerate(zip(chosen.paths, records_of(chosen), strict=True)):
        yield Mistake(
            record=record,
            path=paths[i],
            top=_top(chosen, i) or record.top,
            breeds=tuple(str(leaves[k].breed) for k in chosen.breed_sets[i]) if chosen.breed_sets else (),
            wrong_answer=not chosen.holds_truth[i],
            cross_species=bool(chosen.top_leaf_species[i] != chosen.species_true[i]),
            photo=_picture(photos, path) if photos else None,
            overlay=_picture(partial(overlay, leaf=int(chosen.top_leaf[i])), path) if overlay else None,
        )


def _top(predictions: Predictions, i: int) -> tuple[LeafProbability, ...]:
    """Return the stated top leaves of one photo; empty if only the joint probabilities are known."""
    top = predictions.top[i] if predictions.top else ()
    return tuple(LeafProbability(**leaf._asdict(), probability=p) for leaf, p in top)


def _picture(load: Callable[[str], np.ndarray | None], path: str) -> str | None:
    """Return a thumbnail as a data URI; None if the photo has been removed since, or there is nothing to show."""
    try:
        pixels = load(path)
    except HierpetsError:
        return None
    return None if pixels is None else data_uri(pixels, _THUMBNAIL)
