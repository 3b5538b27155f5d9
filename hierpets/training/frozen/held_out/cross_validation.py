"""Heads that are fitted to all folds but one, and asked about that one."""

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
    """For each fold that the others can judge, ``heads`` that did not see it; ``folds`` int [N]."""

    heads: Mapping[int, Heads]
    folds: np.ndarray
    combiner: Combiner

    @classmethod
    def fit(
        cls, photos: FeatureSet, parts: Sequence[ClassStatistics], folds: np.ndarray, fitter: HeadFitter
    ) -> FoldHeads | None:
        """Heads for N photos in ``folds`` from 0, of which ``parts`` are the statistics; None where no fold can be
        judged, because the others lack a class.
        """
        heads = {fold: found for fold, found, _ in fitter.fit_folds(photos, parts, folds)}
        return cls(heads, folds, fitter.combiner) if heads else None

    @property
    def judged(self) -> np.ndarray:
        """bool [N]: the photos that heads can be asked about."""
        return np.isin(self.folds, list(self.heads))

    def of(self, rows: np.ndarray) -> FoldHeads:
        """The same heads for some of the photos, int [M]."""
        return replace(self, folds=self.folds[rows])

    def ask(self, photos: FeatureSet) -> LabeledLogits:
        """What is said of the J photos that are judged, by their ``features``: out of fold."""
        n, taxonomy = len(photos), photos.taxonomy
        species, leaf = np.zeros((n, len(taxonomy.species))), np.zeros((n, len(taxonomy.leaves)))
        for fold, rows, features in each_fold(photos, np.where(self.judged, self.folds, -1)):
            species[rows], leaf[rows] = self.heads[fold](features)
        rows = self.judged
        return LabeledLogits(species[rows], leaf[rows], photos.labels.where(rows), taxonomy, self.combiner)
