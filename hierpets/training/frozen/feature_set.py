"""Photos as features, with all that heads are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hierpets.plugin import Labels
from hierpets.progress import Progress
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.frozen.features import FeatureExtractor
from hierpets.training.splits import Splits

__all__ = ["FeatureSet", "extract_feature_set"]


@dataclass(frozen=True)
class FeatureSet:
    """N photos as features float32 [N, D], with their labels and their weights float [N].

    ``views`` [N, D] are what heads are fitted to: the same features, or their mean over several views of each photo.
    What is held out is judged by ``features``, as it will be served.
    """

    features: np.ndarray
    views: np.ndarray
    labels: Labels
    weights: np.ndarray
    taxonomy: Taxonomy

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, rows: np.ndarray) -> FeatureSet:
        """The photos where ``rows`` (bool [N]) is true."""
        return replace(
            self,
            features=self.features[rows],
            views=self.views[rows],
            labels=replace(self.labels, species=self.labels.species[rows], leaf=self.labels.leaf[rows]),
            weights=self.weights[rows],
        )

    @property
    def breed_known(self) -> np.ndarray:
        """bool [N]."""
        known: np.ndarray = self.labels.leaf != UNKNOWN_LEAF
        return known

    def holds_every_class(self) -> bool:
        """Whether every species and every leaf has a photo, without which no head can be fitted."""
        species, leaves = (np.unique(column) for column in (self.labels.species, self.labels.leaf))
        every = np.isin(np.arange(len(self.taxonomy.leaves)), leaves).all()
        return bool(every) and len(species) == len(self.taxonomy.species)


def extract_feature_set(splits: Splits, extractor: FeatureExtractor, view: str, progress: Progress) -> FeatureSet:
    """The training photos as features, with heads to be fitted to the mean over ``view``."""
    features = extractor.features(splits.train.paths, progress=progress)
    views = features if view == "plain" else extractor.features(splits.train.paths, view, progress=progress)
    return FeatureSet(features, views, splits.labels, splits.weights, splits.taxonomy)
