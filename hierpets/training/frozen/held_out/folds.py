"""Cross-validation folds: each photo is held out once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.data.records import together
from hierpets.plugin import Labels
from hierpets.training.features.feature_set import FeatureSet

__all__ = ["assign_folds", "each_fold"]


def assign_folds(labels: Labels, *, folds: int, seed: int, single: bool = False) -> np.ndarray:
    """Assign each photo to a fold, int [N], stratified by leaf (by species if the breed is unknown).

    The photos of a group stay together: groups are assigned from the largest to the smallest, each to the fold with the
    fewest photos of the class. A class with a single group is spread photo by photo.

    A photo that is the only one of its leaf gets the extra fold ``folds``, which is never held out: heads that lack a
    class are not fitted, so the photo would cost a whole fold. With ``single``, for when no heads are fitted, it is
    assigned like all others.
    """
    generator = np.random.default_rng(seed)
    assigned = np.zeros(len(labels), dtype=np.int64)
    classes, groups, offset = labels.classes, labels.groups, 0
    for stratum in np.unique(classes):
        rows = generator.permutation(np.flatnonzero(classes == stratum))
        if len(rows) == 1 and stratum < len(labels.leaf_names) and not single:
            assigned[rows] = folds
            continue
        dealt = np.zeros(folds, int)
        units = together(rows.tolist(), lambda row: row if groups is None else groups[row])
        for unit in sorted(units, key=len, reverse=True):
            # Continuing where the last class stopped keeps the folds equally large.
            turn = np.roll(np.arange(folds), -offset)
            fold = turn[dealt[turn].argmin()]
            assigned[unit] = fold
            dealt[fold] += len(unit)
            offset += 1
    return assigned


def each_fold(photos: FeatureSet, folds: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield ``(fold, rows int64 [M], features [M, D])`` for each fold in each batch; negative folds are left out."""
    for batch in photos.batches():
        features, inside = photos.features[batch], folds[batch]
        for fold in np.unique(inside[inside >= 0]).tolist():
            rows = np.flatnonzero(inside == fold)
            yield fold, rows + batch.start, features[rows]
