"""Heads and OOD scorer on frozen features, and what they predict for photos that they did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from hierpets.config import HeadSpec
from hierpets.hierarchy.probabilities import Combiner
from hierpets.model.heads import Heads
from hierpets.model.ood import OODScorer
from hierpets.plugin import Labels, PretrainedHead
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.frozen.feature_set import FeatureSet
from hierpets.training.frozen.linear_probe import fit_head, fit_heads
from hierpets.training.prior import TargetPrior

__all__ = [
    "FrozenFit",
    "OutOfFold",
    "assign_folds",
    "fit_frozen",
    "fit_ood_scorer",
    "held_out_breeds",
    "out_of_fold",
    "raw_signals",
]


@dataclass(frozen=True)
class FrozenFit:
    """Heads and OOD scorer, fitted to the same photos."""

    heads: Heads
    ood_scorer: OODScorer

    def signals(self, features: np.ndarray) -> torch.Tensor:
        """Raw signals float32 [N, 4] of features [N, D]."""
        return raw_signals(self.ood_scorer, features)


def raw_signals(ood_scorer: OODScorer, features: np.ndarray) -> torch.Tensor:
    """Raw signals float32 [N, 4] of features [N, D]."""
    with torch.inference_mode():
        return ood_scorer.signals(torch.from_numpy(features)).table()


def fit_frozen(
    photos: FeatureSet,
    spec: HeadSpec,
    pretrained_head: PretrainedHead | None,
    *,
    prior: TargetPrior = "uniform",
    combiner: Combiner = "conditional",
) -> FrozenFit:
    """Fit heads, which predict with ``prior`` under ``combiner``, and OOD scorer."""
    heads = fit_heads(photos, spec, prior=prior, combiner=combiner)
    return FrozenFit(heads, fit_ood_scorer(photos, pretrained_head))


def fit_ood_scorer(photos: FeatureSet, pretrained_head: PretrainedHead | None) -> OODScorer:
    """Fit an OOD scorer to the photos whose breed is known. Classes without a photo are left out."""
    known = photos.where(photos.breed_known)
    classes, labels = np.unique(known.labels.leaf, return_inverse=True)
    return OODScorer.fit(
        torch.from_numpy(known.views),
        torch.from_numpy(labels),
        discriminant=fit_head(known.views, labels, known.weights, classes=len(classes), spec=HeadSpec(kind="lda")),
        pretrained_head=pretrained_head,
        species=photos.taxonomy.species,
    )


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


class OutOfFold(NamedTuple):
    """Species logits [N, S], leaf logits [N, L] and OOD signals [N, 4] of photos that the heads did not see.

    A photo is ``judged`` (bool [N]) when the other folds hold every class; with a single photo of a class, its fold is
    not judged.
    """

    species: np.ndarray
    leaf: np.ndarray
    signals: torch.Tensor
    judged: np.ndarray


def out_of_fold(
    photos: FeatureSet,
    spec: HeadSpec,
    pretrained_head: PretrainedHead | None,
    folds: np.ndarray,
    *,
    prior: TargetPrior = "uniform",
    combiner: Combiner = "conditional",
) -> OutOfFold:
    """What heads and OOD scorers that were fitted to the other folds (int [N]) predict for each photo."""
    n, taxonomy = len(photos), photos.taxonomy
    found = OutOfFold(
        np.zeros((n, len(taxonomy.species))), np.zeros((n, len(taxonomy.leaves))), torch.zeros(n, 4), np.zeros(n, bool)
    )
    for fold in np.unique(folds):
        held_out = folds == fold
        others = photos.where(~held_out)
        if not others.holds_every_class():
            continue
        fit = fit_frozen(others, spec, pretrained_head, prior=prior, combiner=combiner)
        features = photos.features[held_out]
        found.species[held_out], found.leaf[held_out] = fit.heads(features)
        found.signals[torch.from_numpy(held_out)] = fit.signals(features)
        found.judged[held_out] = True
    return found


def held_out_breeds(
    photos: FeatureSet, pretrained_head: PretrainedHead | None, *, groups: int, seed: int
) -> torch.Tensor:
    """Signals [M, 4] of photos whose breed was held out of training: what an unlisted breed looks like.

    The breeds of each species are dealt into ``groups``; each group is held out in turn. A species with fewer than
    three breeds keeps them all; where no species has more, M is 0.
    """
    group = _deal_breeds(photos.taxonomy, groups=groups, seed=seed)
    known = photos.where(photos.breed_known)
    found = [torch.zeros(0, 4)]
    for g in range(groups):
        held_out = (group == g)[known.labels.leaf]
        if not held_out.any() or held_out.all():
            continue
        scorer = fit_ood_scorer(known.where(~held_out), pretrained_head)
        found.append(raw_signals(scorer, known.features[held_out]))
    return torch.cat(found)


def _deal_breeds(taxonomy: Taxonomy, *, groups: int, seed: int) -> np.ndarray:
    """The group of each leaf, int [L]; -1 for one that is never held out."""
    generator = np.random.default_rng(seed)
    group = np.full(len(taxonomy.leaves), -1)
    for columns in taxonomy.slices:
        leaves = generator.permutation(np.arange(columns.start, columns.stop))
        if len(leaves) >= 3:
            group[leaves] = np.arange(len(leaves)) % groups
    return group
