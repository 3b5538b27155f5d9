"""Cross-validate LDA heads that are fitted to growing numbers of photos."""

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
REMOVED = 10  # photos that are removed from a class to measure their effect
SHRINKAGE = HeadSpec().shrinkage


@dataclass(frozen=True)
class CrossValidation:
    """The predictions for N photos, by heads fitted to at most ``sizes`` [M] photos of each class, the last to all.

    ``guesses`` int [R, M, N] are leaves, for each of R repeats with other folds. ``right_without`` bool [R, N]: whether
    a photo is still recognized by heads that saw all but the last :data:`REMOVED` photos of its class.
    """

    sizes: tuple[int, ...]
    guesses: np.ndarray
    right_without: np.ndarray


def cross_validate_sizes(
    photos: FeatureSet, sizes: Sequence[int], *, repeats: int = REPEATS, progress: Progress
) -> CrossValidation:
    """Run a repeated five-fold cross-validation; ``sizes`` ascend, the last at least the size of the largest class.

    The photos of a size include those of the size before, as if they arrived one after another.
    """
    guesses = np.zeros((repeats, len(sizes), len(photos)), np.int64)
    right_without = np.zeros((repeats, len(photos)), bool)
    features = np.asarray(photos.features)
    for repeat in range(repeats):
        folds = assign_folds(photos.labels, folds=FOLDS, seed=repeat)
        held_out = np.unique(folds)  # one more if classes have a single photo
        for done, fold in enumerate(held_out):
            progress("learning curve", repeat * len(held_out) + done, repeats * len(held_out))
            test = np.flatnonzero(folds == fold)
            rank = _ranks(np.where(folds == fold, -1, photos.labels.leaf), seed=repeat)
            for m, statistics in enumerate(_growing(photos, rank, sizes)):
                head = fit_lda(statistics, photos.taxonomy.leaves, shrinkage=SHRINKAGE)
                # Later sizes have the same photos if there are no more.
                guesses[repeat, m:, test] = head(features[test]).argmax(axis=1)[:, None]
            right_without[repeat, test] = _right_without(photos, features, statistics, head, rank, test)
    progress("learning curve", repeats * len(held_out), repeats * len(held_out))
    return CrossValidation(tuple(sizes), guesses, right_without)


def curve_sizes(labels: Labels) -> tuple[int, ...]:
    """Return the sizes of the learning curve: those for which at least half of the classes have enough training photos,
    then the most training photos that any class has in any fold.
    """
    held_out = _held_out(labels)
    trained = _trained_without(held_out)
    most = int((held_out.sum(axis=2) - held_out[:, :, :FOLDS].min(axis=2)).max())
    return (*(size for size in LADDER if size < most and (trained >= size).mean() >= 0.5), most)


def trained_on(labels: Labels) -> np.ndarray:
    """Return how many photos of each of K classes, on average, heads are fitted to that judge a photo of it: int [K],
    rounded up.

    Where animals have many photos each, a fold may hold most of a class.
    """
    return _trained_without(_held_out(labels))


def _trained_without(held_out: np.ndarray) -> np.ndarray:
    """Compute :func:`trained_on` from :func:`_held_out`."""
    counts = held_out.sum(axis=(0, 2))
    return counts // REPEATS - (held_out**2).sum(axis=(0, 2)) // counts


def _held_out(labels: Labels) -> np.ndarray:
    """Count the photos of each class in each fold of each repeat: int [R, K, F], including the additional fold of
    :func:`assign_folds`.
    """
    classes, of = np.unique(labels.leaf, return_inverse=True)
    held_out = np.zeros((REPEATS, len(classes), FOLDS + 1), int)
    for repeat, counts in enumerate(held_out):
        np.add.at(counts, (of, assign_folds(labels, folds=FOLDS, seed=repeat)), 1)
    return held_out


def _ranks(classes: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the position of each photo in a random order of its class, int [N]; -1 for those of class -1."""
    order = np.random.default_rng(seed).permutation(len(classes))
    rank = np.full(len(classes), -1)
    for label in np.unique(classes[classes >= 0]):
        rows = order[classes[order] == label]
        rank[rows] = np.arange(len(rows))
    return rank


def _growing(photos: FeatureSet, rank: np.ndarray, sizes: Sequence[int]) -> Iterator[ClassStatistics]:
    """Yield the statistics of the photos whose rank is below each size."""
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
    """Return whether each test photo is recognized by heads without the last photos of its class, bool [T]."""
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
