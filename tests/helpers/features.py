"""Features of photos that never were: clouds in a few dimensions."""

from __future__ import annotations

import numpy as np

from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.features.feature_set import FeatureSet

__all__ = ["blobs", "feature_set"]


def blobs(
    per_class: list[int], dimensions: int = 12, seed: int = 0, spread: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [N, D] and labels [N] of one cloud a class."""
    generator = np.random.default_rng(seed)
    means = generator.normal(scale=spread, size=(len(per_class), dimensions))
    mixing = np.eye(dimensions) + 0.3 * generator.normal(size=(dimensions, dimensions)) / np.sqrt(dimensions)
    labels = np.repeat(np.arange(len(per_class)), per_class)
    return (means[labels] + generator.normal(size=(len(labels), dimensions)) @ mixing).astype(np.float32), labels


def feature_set(features: np.ndarray, leaf: np.ndarray, taxonomy: Taxonomy, *, hidden: slice = slice(0)) -> FeatureSet:
    """Photos of those leaves, some with their breed hidden."""
    species, shown = taxonomy.leaf_species[leaf], leaf.copy()
    shown[hidden] = -1
    labels = Labels(species, shown, taxonomy.species, tuple(map(str, taxonomy.leaves)))
    return FeatureSet(features, features, labels, np.ones(len(leaf)), taxonomy)
