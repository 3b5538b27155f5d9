"""Features of photos that are corrupted as phones and messengers corrupt them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from hierpets.data.labeled.split import draw_evenly
from hierpets.evaluation.stress.corruptions import CORRUPTIONS, SIDE, limit_shorter_side
from hierpets.progress import Progress
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.splits import Splits

__all__ = ["BY_KIND", "PHOTOS", "CorruptedFeatures", "corrupt", "extract_corrupted"]

PHOTOS = 2000  # most photos to corrupt: enough to compare candidates, whatever the size of the data
STEP = 2  # the middle one of the three steps of the stress test
BY_KIND = {corruption.kind: corruption for corruption in CORRUPTIONS if corruption.step == STEP}


class CorruptedFeatures(NamedTuple):
    """``features`` float32 [M, D] of M corrupted photos, and their ``rows`` int64 [M] among the training photos."""

    features: np.ndarray
    rows: np.ndarray


def extract_corrupted(splits: Splits, extractor: FeatureExtractor, progress: Progress) -> CorruptedFeatures:
    """Extract the features of up to :data:`PHOTOS` training photos, each under one kind of corruption.

    The kinds alternate within each class.
    """
    index, row_of = splits.train, {record: row for row, record in enumerate(splits.train.records)}
    rows = np.array([row_of[record] for record in draw_evenly(index)[:PHOTOS]])
    rows = rows[np.lexsort((splits.labels.leaf[rows], splits.labels.species[rows]))]
    # The cache key contains all arguments of a view, so that other amounts are computed again.
    kinds = [partial(corrupt, kind=kind, amount=one.amount, side=SIDE) for kind, one in BY_KIND.items()]
    views = [kinds[number % len(kinds)] for number in range(len(rows))]
    paths = [index.paths[row] for row in rows]
    features = extractor.features_of_views(paths, views, task="features (stress test)", progress=progress)
    return CorruptedFeatures(features, rows)


def corrupt(photo: np.ndarray, *, kind: str, amount: float, side: int) -> np.ndarray:
    """Corrupt an RGB photo uint8 [H, W, 3], after limiting its shorter side to ``side`` pixels."""
    return replace(BY_KIND[kind], amount=amount)(limit_shorter_side(photo, side))
