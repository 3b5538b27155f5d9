"""Out-of-fold logits: what the heads say of photos that they did not see."""

from __future__ import annotations

import numpy as np

from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.closed_form import HeadKind, fit_heads

__all__ = ["assign_folds", "out_of_fold_logits"]


def assign_folds(labels: Labels, *, folds: int, seed: int) -> np.ndarray:
    """The fold of each photo, int [N], stratified by leaf (by species where the breed is unknown).

    A class of fewer photos than folds is spread as far as it goes.
    """
    generator = np.random.default_rng(seed)
    strata = np.where(labels.leaf != UNKNOWN_LEAF, labels.leaf, -1 - labels.species)
    assigned = np.zeros(len(labels), dtype=np.int64)
    offset = 0
    for stratum in np.unique(strata):
        rows = generator.permutation(np.flatnonzero(strata == stratum))
        # Dealing on from where the last class stopped keeps the folds equally large.
        assigned[rows] = (np.arange(len(rows)) + offset) % folds
        offset += len(rows)
    return assigned


def out_of_fold_logits(
    features: np.ndarray, labels: Labels, weights: np.ndarray, taxonomy: Taxonomy, *, kind: HeadKind, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Species logits [N, S], leaf logits [N, L] and ``judged`` bool [N].

    A photo is judged when the other folds hold every class; with a single photo of a class, its fold is not judged.
    """
    species_logits = np.zeros((len(labels), len(taxonomy.species)))
    leaf_logits = np.zeros((len(labels), len(taxonomy.leaves)))
    judged = np.zeros(len(labels), dtype=bool)
    for fold in np.unique(folds):
        seen, held_out = folds != fold, folds == fold
        if not _holds_every_class(labels, seen, taxonomy):
            continue
        heads = fit_heads(
            features[seen],
            species=labels.species[seen],
            leaf=labels.leaf[seen],
            weights=weights[seen],
            taxonomy=taxonomy,
            kind=kind,
        )
        species_logits[held_out], leaf_logits[held_out] = heads(features[held_out])
        judged[held_out] = True
    return species_logits, leaf_logits, judged


def _holds_every_class(labels: Labels, rows: np.ndarray, taxonomy: Taxonomy) -> bool:
    leaves = np.unique(labels.leaf[rows])
    return np.isin(np.arange(len(taxonomy.leaves)), leaves).all() and len(np.unique(labels.species[rows])) == len(
        taxonomy.species
    )
