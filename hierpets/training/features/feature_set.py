"""The features, labels and weights that heads are fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hierpets.plugin import Labels
from hierpets.progress import Progress
from hierpets.taxonomy import Taxonomy
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.stored_rows import StoredRows
from hierpets.training.splits import Splits

__all__ = ["FeatureSet", "extract_feature_set"]

BATCH = 4096  # photos in memory at a time
Rows = np.ndarray | StoredRows


@dataclass(frozen=True)
class FeatureSet:
    """The ``features`` float32 [N, D] of N photos, with their labels and weights, float [N].

    Heads are fitted to ``views`` [N, D]: the same features, or their mean over several views of each photo. Held-out
    photos are evaluated with ``features``, as in prediction. Both may be stored in a file and read in batches.
    """

    features: Rows
    views: Rows
    labels: Labels
    weights: np.ndarray
    taxonomy: Taxonomy

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self) -> Iterator[slice]:
        """Yield consecutive slices that cover all rows and fit into memory one at a time."""
        for start in range(0, len(self), BATCH):
            yield slice(start, min(start + BATCH, len(self)))

    def where(self, rows: np.ndarray) -> FeatureSet:
        """Return the photos where ``rows``, bool [N], is true, in memory."""
        return replace(
            self,
            features=np.asarray(self.features)[rows],
            views=np.asarray(self.views)[rows],
            labels=self.labels.where(rows),
            weights=self.weights[rows],
        )


def extract_feature_set(splits: Splits, extractor: FeatureExtractor, view: str, progress: Progress) -> FeatureSet:
    """Extract the features of the training photos into a file, and their mean over the views of ``view``."""
    features = extractor.store(splits.train.paths, progress=progress)
    views = features if view == "plain" else extractor.store(splits.train.paths, view, progress=progress)
    return FeatureSet(features, views, splits.labels, splits.weights, splits.taxonomy)
