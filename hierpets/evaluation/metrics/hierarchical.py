"""Metrics across the levels of the tree: to take a cat for another breed of cat is a smaller mistake than for a dog."""

from __future__ import annotations

import numpy as np

from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.metrics.resampling import Statistic, estimate, groups_of, interval_of_share, mean_of
from hierpets.evaluation.metrics.schema import HierarchyMetrics
from hierpets.evaluation.predictions import BREED, SPECIES, Predictions
from hierpets.taxonomy import Taxonomy

__all__ = ["ancestor_counts", "hierarchy_metrics", "lca_height"]

_DEPTHS = (1, 3)


def lca_height(taxonomy: Taxonomy) -> np.ndarray:
    """Height of the lowest common ancestor of every two leaves, int [L, L]: 0 for the same leaf, 1 for the same
    species, 2 for the root (1 in a taxonomy without any breeds).
    """
    species = taxonomy.leaf_species
    root = 2 if taxonomy.has_breeds else 1
    height = np.where(species[:, None] == species[None, :], 1, root)
    np.fill_diagonal(height, 0)
    return height


def hierarchy_metrics(predictions: Predictions, *, seed: int, resamples: int) -> HierarchyMetrics:
    """Compute full-path accuracy, cross-species error, hierarchical precision, recall and F1, and mistake severity.

    Cross-species error is over all photos, the rest over those whose full path is labeled. Mistake severity and average
    hierarchical distance follow Bertinetto et al., "Making Better Mistakes", CVPR 2020.
    """
    labeled = predictions.leaf_true >= 0
    n, n_labeled = len(predictions), int(labeled.sum())
    groups_all, groups_labeled = predictions.groups, groups_of(predictions.groups, labeled)
    wrong_species = predictions.top_leaf_species != predictions.species_true
    cross_species = mean_of("cross_species_error", wrong_species.astype(float))
    species, species_intervals = estimate(cross_species, n, seed=seed, resamples=resamples, groups=groups_all)
    path, path_intervals = estimate(
        _path_statistic(predictions, labeled), n_labeled, seed=seed, resamples=resamples, groups=groups_labeled
    )
    intervals = species_intervals | path_intervals
    shares = {
        "cross_species_error": (wrong_species, groups_all),
        "full_path_accuracy": ((predictions.top_leaf == predictions.leaf_true)[labeled], groups_labeled),
    }
    intervals |= {
        name: interval_of_share(hits, intervals[name], groups=groups) for name, (hits, groups) in shares.items()
    }
    return HierarchyMetrics(n_species=n, n=n_labeled, intervals=intervals, **species, **path)


def _path_statistic(predictions: Predictions, labeled: np.ndarray) -> Statistic:
    truth, top = predictions.leaf_true[labeled], predictions.top_leaf[labeled]
    height = lca_height(predictions.taxonomy)
    distance = height[truth, top].astype(float)
    distances = {f"distance_at_{k}": _distance_at(predictions, labeled, k, height=height) for k in _DEPTHS}
    leaf_level = np.full(len(truth), BREED)
    forced = ancestor_counts(predictions.taxonomy, truth, leaf_level, node=top)
    decided = ancestor_counts(predictions.taxonomy, truth, predictions.level[labeled], node=predictions.node[labeled])

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        n = weights.sum(axis=1)
        mistakes = weights @ (distance > 0)
        return {
            **_precision_recall_f1(weights @ forced, ""),
            **_precision_recall_f1(weights @ decided, "decided_"),
            "mistake_severity": divide(weights @ distance, mistakes, np.nan),
            **{name: divide(weights @ values, n, np.nan) for name, values in distances.items()},
            "full_path_accuracy": divide(n - mistakes, n, np.nan),
        }

    return statistic


def _distance_at(predictions: Predictions, labeled: np.ndarray, k: int, *, height: np.ndarray) -> np.ndarray:
    """Mean LCA height between the truth and the ``k`` most probable leaves of each labeled photo, float [n]."""
    ranked = np.argsort(-predictions.probabilities[labeled], axis=1, kind="stable")[:, :k]
    return height[predictions.leaf_true[labeled][:, None], ranked].mean(axis=1)


def ancestor_counts(taxonomy: Taxonomy, truth: np.ndarray, level: np.ndarray, *, node: np.ndarray) -> np.ndarray:
    """Sizes of the ancestor sets of the prediction and of the truth, and of their intersection, float [N, 3].

    An ancestor set holds a node and its ancestors without the root: {cat, cat/birman}; {cat} at species level or for a
    species without breeds; nothing for "unknown". ``truth`` int [N] holds leaf indices; ``level`` and ``node`` are as
    in ``Predictions``.
    """
    at_leaf, at_species = level == BREED, level == SPECIES
    leaf = np.where(at_leaf, node, 0)
    species = np.where(at_leaf, taxonomy.leaf_species[leaf], np.where(at_species, node, -1))
    named = at_leaf * (1 + taxonomy.is_breed[leaf]) + at_species
    both = (species == taxonomy.leaf_species[truth]) + (at_leaf & taxonomy.is_breed[leaf] & (leaf == truth)).astype(int)
    return np.stack([named, 1 + taxonomy.is_breed[truth], both], axis=1).astype(float)


def _precision_recall_f1(totals: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
    """Micro-averaged scores (Kiritchenko et al. 2006) from sums [R, 3] of ``ancestor_counts``."""
    named, truth, both = totals.T
    return {
        f"{prefix}precision": divide(both, named, np.nan),
        f"{prefix}recall": divide(both, truth, np.nan),
        f"{prefix}f1": divide(2 * both, named + truth, np.nan),
    }
