"""Cross-validate heads: fit them to all folds but one, and run them on that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierpets.hierarchy.probabilities import Combiner
from hierpets.model.heads import Heads
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.held_out.folds import each_fold
from hierpets.training.score import LabeledLogits

__all__ = ["FoldHeads"]


@dataclass(frozen=True)
class FoldHeads:
    """``heads`` by the fold that they were not fitted to, and the fold of each photo, ``folds`` int [N].

    A fold has no heads if the other folds lack a class.
    """

    heads: Mapping[int, Heads]
    folds: np.ndarray
    combiner: Combiner

    @classmethod
    def fit(
        cls, photos: FeatureSet, parts: Sequence[ClassStatistics], folds: np.ndarray, fitter: HeadFitter
    ) -> FoldHeads | None:
        """Fit heads for each fold; None if none has any, because the other folds always lack a class.

        ``folds`` int [N] counts from 0, ``parts`` are the statistics of each fold.
        """
        heads = {fold: found for fold, found, _ in fitter.fit_folds(photos, parts, folds)}
        return cls(heads, folds, fitter.combiner) if heads else None

    @property
    def judged(self) -> np.ndarray:
        """bool [N]: the photos whose fold has heads."""
        return np.isin(self.folds, list(self.heads))

    def of(self, rows: np.ndarray) -> FoldHeads:
        """Return the same heads for the photos ``rows``, int [M]."""
        return replace(self, folds=self.folds[rows])

    def ask(self, photos: FeatureSet) -> LabeledLogits:
        """Return the out-of-fold logits of the photos that are ``judged``, from their plain ``features``."""
        n, taxonomy = len(photos), photos.taxonomy
        species, leaf = np.zeros((n, len(taxonomy.species))), np.zeros((n, len(taxonomy.leaves)))
        for fold, rows, features in each_fold(photos, np.where(self.judged, self.folds, -1)):
            species[rows], leaf[rows] = self.heads[fold](features)
        rows = self.judged
        return LabeledLogits(species[rows], leaf[rows], photos.labels.where(rows), taxonomy, self.combiner)
