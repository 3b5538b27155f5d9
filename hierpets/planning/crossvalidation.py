"""LDA heads fitted to growing parts of the photos, and judged by photos that they did not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from hierpets.config import HeadSpec
from hierpets.model.heads import Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Labels
from hierpets.progress import Progress
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.lda import fit_lda, fit_lda_without
from hierpets.training.frozen.statistics import collect_statistics

__all__ = [
    "REMOVED",
    "CrossValidation",
    "cross_validate_sizes",
    "curve_sizes",
    "trained_on",
]

FOLDS, REPEATS = 5, 5
LADDER = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150)
REMOVED = 10  # photos that are taken from a class, to see what they brought
SHRINKAGE = HeadSpec().shrinkage


@dataclass(frozen=True)
class CrossValidation:
    """What N photos were taken for, by heads that saw at most ``sizes`` [M] photos of each class, the last all.

    ``guesses`` int [R, M, N] are leaves, for each of R repeats with other folds. ``right_without`` bool [R, N]: whether
    a photo is still recognized by heads that saw all but the last :data:`REMOVED` photos of its class.
    """

    sizes: tuple[int, ...]
    guesses: np.ndarray
    right_without: np.ndarray


def cross_validate_sizes(
    photos: FeatureSet, sizes: Sequence[int], *, repeats: int = REPEATS, progress: Progress
) -> CrossValidation:
    """Repeated five-fold cross-validation; ``sizes`` ascend, and the last is that of the largest class at least.

    Photos are added to the statistics of classes as they would come in: those of a size hold those of the size before.
    """
    guesses = np.zeros((repeats, len(sizes), len(photos)), np.int64)
    right_without = np.zeros((repeats, len(photos)), bool)
    features = np.asarray(photos.features)
    for repeat in range(repeats):
        folds = assign_folds(photos.labels, folds=FOLDS, seed=repeat)
        held_out = np.unique(folds)  # one more where classes have a single photo
        for done, fold in enumerate(held_out):
            progress("learning curve", repeat * len(held_out) + done, repeats * len(held_out))
            test = np.flatnonzero(folds == fold)
            rank = _ranks(np.where(folds == fold, -1, photos.labels.leaf), seed=repeat)
            for m, statistics in enumerate(_growing(photos, rank, sizes)):
                head = fit_lda(statistics, photos.taxonomy.leaves, shrinkage=SHRINKAGE)
                guesses[repeat, m:, test] = head(features[test]).argmax(axis=1)[:, None]  # more photos there may not be
            right_without[repeat, test] = _right_without(photos, features, statistics, head, rank, test)
    progress("learning curve", repeats * len(held_out), repeats * len(held_out))
    return CrossValidation(tuple(sizes), guesses, right_without)


def curve_sizes(labels: Labels) -> tuple[int, ...]:
    """Sizes for which at least half of the classes have as many photos in training, then as many as any fold leaves of
    any class: all of them, where it holds none.
    """
    held_out = _held_out(labels)
    trained = _trained_without(held_out)
    most = int((held_out.sum(axis=2) - held_out[:, :, :FOLDS].min(axis=2)).max())
    return (*(size for size in LADDER if size < most and (trained >= size).mean() >= 0.5), most)


def trained_on(labels: Labels) -> np.ndarray:
    """int [K]: how many photos of each class heads saw that judge a photo of it, on average, rounded up.

    Where animals have many photos each, a fold may hold most of a class.
    """
    return _trained_without(_held_out(labels))


def _trained_without(held_out: np.ndarray) -> np.ndarray:
    """int [K], by :func:`_held_out`."""
    counts = held_out.sum(axis=(0, 2))
    return counts // REPEATS - (held_out**2).sum(axis=(0, 2)) // counts


def _held_out(labels: Labels) -> np.ndarray:
    """int [R, K, F]: how many photos of each class are held out in each repeat by each fold; the last fold is one more,
    as in :func:`assign_folds`.
    """
    classes, of = np.unique(labels.leaf, return_inverse=True)
    held_out = np.zeros((REPEATS, len(classes), FOLDS + 1), int)
    for repeat, counts in enumerate(held_out):
        np.add.at(counts, (of, assign_folds(labels, folds=FOLDS, seed=repeat)), 1)
    return held_out


def _ranks(classes: np.ndarray, *, seed: int) -> np.ndarray:
    """int [N]: the place of each photo in a random order of its class; -1 for those of class -1."""
    order = np.random.default_rng(seed).permutation(len(classes))
    rank = np.full(len(classes), -1)
    for label in np.unique(classes[classes >= 0]):
        rows = order[classes[order] == label]
        rank[rows] = np.arange(len(rows))
    return rank


def _growing(photos: FeatureSet, rank: np.ndarray, sizes: Sequence[int]) -> Iterator[ClassStatistics]:
    """The statistics of the photos of rank below each size."""
    shell = np.where(rank < 0, -1, np.searchsorted(np.asarray(sizes), rank, side="right"))
    return accumulate(collect_statistics(photos, None, shell))


def _right_without(
    photos: FeatureSet,
    features: np.ndarray,
    statistics: ClassStatistics,
    head: Linear,
    rank: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """bool [T]: whether test photos are recognized by heads without the last photos of their class."""
    leaves, leaf = photos.taxonomy.leaves, photos.labels.leaf
    trained = statistics.counts_of(leaves)
    last = rank >= (trained - np.minimum(REMOVED, trained // 2))[leaf]
    right = np.zeros(len(test), bool)
    for k in np.unique(leaf[test]):
        own, gone = leaf[test] == k, last & (leaf == k)
        without = fit_lda_without(
            statistics, head, leaves, k, features[gone], photos.weights[gone], shrinkage=SHRINKAGE
        )
        right[own] = without(features[test[own]]).argmax(axis=1) == k
    return right
