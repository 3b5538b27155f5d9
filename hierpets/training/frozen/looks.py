"""Outputs for held-out photos, after a first look and after a second one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.data.records import PhotoIndex
from hierpets.hierarchy.probabilities import Combiner
from hierpets.training.frozen.mixing import HeldOutPhotos, Mixing
from hierpets.training.outputs import HeldOutOutputs
from hierpets.training.second_look import SecondLooks
from hierpets.training.splits import Splits

__all__ = ["Features", "FrozenOutputs"]

Features = Callable[[Sequence[str]], np.ndarray]
"""Returns the features, float32 [N, D], of photos by path; rows of a second look are zero if there is none to take."""


class FrozenOutputs(NamedTuple):
    """Outputs for held-out training photos of trained, pretrained and unlisted breeds, and for validation photos.

    Those of a population without photos are None.
    """

    trained: HeldOutOutputs | None
    pretrained: HeldOutOutputs | None
    unlisted: HeldOutOutputs | None
    validation: HeldOutOutputs

    @classmethod
    def at_first(cls, mixing: Mixing, splits: Splits, features: Features) -> FrozenOutputs:
        """Return the outputs after the first look; ``features`` are called for the validation photos."""
        trained, pretrained, unlisted = (mixing.of_training(splits.train, own) for own in mixing.by_population)
        return cls(trained, pretrained, unlisted, mixing.of_others(splits.val, features(splits.val.paths)))

    def with_second_look(
        self, mixing: Mixing, splits: Splits, features: Features, by_fold: Sequence[Features], *, combiner: Combiner
    ) -> FrozenOutputs:
        """Return the outputs after a second look at doubtful photos; a training photo is read once for all populations.

        ``features`` are those of the second look. If the backbone was tuned on the training photos, ``by_fold`` holds,
        for each fold, those of the backbone that was not tuned on it.
        """
        first = self.trained or self.validation
        if not first:
            return self
        taxonomy = mixing.breeds.taxonomy
        looks = SecondLooks.after(first, self.unlisted, taxonomy=taxonomy, combiner=combiner)
        folds = mixing.folds if by_fold else np.zeros_like(mixing.folds)
        training = _look_again(mixing, splits.train, self[:3], looks, by_fold or [features], folds)
        return FrozenOutputs(*training, looks(splits.val, self.validation, features, mixing.of_others))


ByPopulation = tuple[HeldOutOutputs | None, HeldOutOutputs | None, HeldOutOutputs | None]
"""The outputs for training photos of trained, of pretrained and of unlisted breeds."""


def _look_again(
    mixing: Mixing,
    train: PhotoIndex,
    outputs: ByPopulation,
    looks: SecondLooks,
    by_fold: Sequence[Features],
    folds: np.ndarray,
) -> ByPopulation:
    """Return the outputs for training photos after a second look at doubtful ones, with the features of their folds."""
    photos = mixing.by_population
    doubtful = [
        own.rows[looks.wanted(first)] if first else own.rows[:0] for own, first in zip(photos, outputs, strict=True)
    ]
    rows = np.unique(np.concatenate(doubtful))
    if not len(rows):
        return outputs
    features = _features_of(rows, train.paths, by_fold, folds)
    seen = features.any(axis=1)
    second = mixing.second_look(rows[seen], features[seen])

    def combined(first: HeldOutOutputs | None, own: HeldOutPhotos, again: HeldOutPhotos) -> HeldOutOutputs | None:
        closer = mixing.of_training(train, again)
        return first.with_second_look(closer, _positions(own.rows, again.rows)) if first and closer else first

    chosen = [again.where(np.isin(again.rows, own)) for again, own in zip(second, doubtful, strict=True)]
    trained, pretrained, unlisted = map(combined, outputs, photos, chosen)
    return trained, pretrained, unlisted


def _features_of(rows: np.ndarray, paths: Sequence[str], by_fold: Sequence[Features], folds: np.ndarray) -> np.ndarray:
    """Return the features float32 [K, D] of the photos ``rows``, int64 [K], each from ``by_fold`` of its fold."""
    vectors: dict[int, np.ndarray] = {}
    for fold in np.unique(folds[rows]).tolist():
        own = rows[folds[rows] == fold].tolist()
        vectors |= zip(own, by_fold[fold]([paths[row] for row in own]), strict=True)
    return np.stack([vectors[row] for row in rows.tolist()])


def _positions(rows: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return the positions of ``some`` of the ``rows`` in ``rows``, int64 [K]."""
    order = np.argsort(rows)
    return np.asarray(order[np.searchsorted(rows, some, sorter=order)])
