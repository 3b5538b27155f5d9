"""The photos for fine-tuning: those that are held out fold by fold, and those that are always trained on."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from hierpets.data.labeled.index import read_index
from hierpets.data.records import PhotoIndex
from hierpets.errors import DataError
from hierpets.taxonomy import UNKNOWN_LEAF
from hierpets.training.frozen.held_out.folds import assign_folds

__all__ = ["FOLDS", "PARTS", "TuningPhotos", "read_tuning_photos"]

FOLDS, SEED = 5, 0
ALWAYS = -1
PARTS: dict[str, int | None] = {"all": None, **{f"fold{fold}": fold for fold in range(FOLDS)}}
"""Parts by name: train on all photos (None), or on all but the fold with this number."""


@dataclass(frozen=True)
class TuningPhotos:
    """N photos with known leaves, and the fold that holds each out, int [N]; ``ALWAYS`` if none does."""

    index: PhotoIndex
    fold: np.ndarray

    def training(self, held_out: int | None) -> np.ndarray:
        """Return the rows of the photos outside the fold ``held_out``, int64 [M]; all rows for None."""
        return np.arange(len(self.fold)) if held_out is None else np.flatnonzero(self.fold != held_out)

    def held_out(self, fold: int | None) -> PhotoIndex:
        """Return the photos of a fold; no photos for None."""
        return self.at(np.flatnonzero(self.fold == fold) if fold is not None else np.empty(0, np.int64))

    def at(self, rows: np.ndarray) -> PhotoIndex:
        """Return the photos ``rows``, int64 [M], in that order."""
        return PhotoIndex(self.index.taxonomy, tuple(self.index.records[row] for row in rows))


def read_tuning_photos(data: str | os.PathLike[str], more: str | os.PathLike[str] | None = None) -> TuningPhotos:
    """Read the photos of ``data`` with the folds of ``hierpets train``, and those of ``more``, which no fold holds out.

    :raises DataError: there are no photos, a label of ``more`` is not in ``data``, or the breed of a photo is unknown.
    """
    index = read_index(data)
    fold = assign_folds(index.labels(), folds=FOLDS, seed=SEED)
    if more is not None:
        others = read_index(more, taxonomy=index.taxonomy)
        index = PhotoIndex(index.taxonomy, (*index.records, *others.records))
        fold = np.concatenate([fold, np.full(len(others), ALWAYS)])
    labels = index.labels()
    for row in np.flatnonzero(labels.leaf == UNKNOWN_LEAF):
        raise DataError(f"{index.records[row].path}: expected a photo of a known breed; move it out of the data")
    return TuningPhotos(index, fold)
