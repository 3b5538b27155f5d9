"""Features of photos that were corrupted as phones and messengers do it."""

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

PHOTOS = 2000  # that are corrupted at most: enough to compare by, however many there are
STEP = 2  # of the three of the stress test, the middle one
BY_KIND = {corruption.kind: corruption for corruption in CORRUPTIONS if corruption.step == STEP}


class CorruptedFeatures(NamedTuple):
    """``features`` float32 [M, D] of M corrupted photos, and their ``rows`` int64 [M] among the training photos."""

    features: np.ndarray
    rows: np.ndarray


def extract_corrupted(splits: Splits, extractor: FeatureExtractor, progress: Progress) -> CorruptedFeatures:
    """Up to :data:`PHOTOS` training photos, each under one kind of corruption; every class meets all kinds in turn."""
    index, number = splits.train, {record: row for row, record in enumerate(splits.train.records)}
    drawn = np.array([number[record] for record in draw_evenly(index)[:PHOTOS]])
    drawn = drawn[np.lexsort((splits.labels.leaf[drawn], splits.labels.species[drawn]))]
    # Features are cached by all that a view is given: with other amounts they are computed anew.
    ways = [partial(corrupt, kind=kind, amount=one.amount, side=SIDE) for kind, one in BY_KIND.items()]
    views = [ways[number % len(ways)] for number in range(len(drawn))]
    paths = [index.paths[row] for row in drawn]
    features = extractor.features_of_views(paths, views, task="features (stress test)", progress=progress)
    return CorruptedFeatures(features, drawn)


def corrupt(photo: np.ndarray, *, kind: str, amount: float, side: int) -> np.ndarray:
    """RGB uint8 [H, W, 3], its shorter side ``side`` pixels at most, after so much of a corruption."""
    return replace(BY_KIND[kind], amount=amount)(limit_shorter_side(photo, side))
