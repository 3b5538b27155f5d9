"""A fit to photos as frozen features: heads, OOD scorer, and what both predict for photos that they did not see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from hierpets.model.heads import Heads
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Labels, PretrainedHead
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fitter import FrozenFit, HeadFitter, fit_ood_scorer
from hierpets.training.frozen.held_out.breeds import HeldOutBreeds, held_out_breeds
from hierpets.training.frozen.held_out.folds import assign_folds, each_fold
from hierpets.training.frozen.held_out.out_of_fold import OutOfFold, ask_fits, out_of_fold, tuned_folds
from hierpets.training.frozen.statistics import collect_statistics

__all__ = ["FrozenResult", "fit_frozen", "judge_heads"]

ASKED = 20_000
"""Of more photos so many are asked, by chance, what those say of them that were not fitted to them: the answers stay in
memory, and more of them would move no threshold."""
ASKED_OF_SPECIES = 2_000
"""So many are asked of each species all the same, for each has its own thresholds."""


class FrozenResult(NamedTuple):
    """What photos give: a fit to all of them, their statistics and the folds that they were dealt into (int [N]), what
    each gives when it is held out, and those whose breed was held out.
    """

    fit: FrozenFit
    statistics: ClassStatistics
    folds: np.ndarray
    out_of_fold: OutOfFold
    held_out_breeds: HeldOutBreeds

    def second_look(
        self, rows: np.ndarray, features: np.ndarray, labels: Labels, breeds: PretrainedBreeds
    ) -> FrozenResult:
        """The same with what a second look at some of the photos gives, ``rows`` int64 [K] ascending, by its features
        [K, D]; ``labels`` are those of all photos, ``breeds`` of the trained leaves alone.
        """
        return self._replace(
            out_of_fold=self.out_of_fold.second_look(rows, features, self.folds),
            held_out_breeds=self.held_out_breeds.second_look(rows, features, labels.leaf[rows], breeds),
        )


def fit_frozen(
    photos: FeatureSet,
    fitter: HeadFitter,
    pretrained_head: PretrainedHead | None,
    *,
    folds: int,
    seed: int,
    tuned: Sequence[FeatureSet] = (),
) -> FrozenResult:
    """Fit heads and OOD scorer to all photos, and hold them out fold by fold and breed by breed.

    ``tuned`` holds, for each fold, the photos as features of a backbone that was not tuned on it.

    With LDA heads the photos are read in batches, a few times over, and no features are kept: memory does not grow with
    the photos. What is said of photos when they are held out is kept, of some :data:`ASKED` where there are more.
    """
    fold_of = assign_folds(photos.labels, folds=folds, seed=seed)
    breeds = PretrainedBreeds.of(photos.taxonomy, pretrained_head)
    parts = collect_statistics(photos, pretrained_head, fold_of)
    total = ClassStatistics.total(parts)
    fit = FrozenFit(fitter.fit(total, photos), fit_ood_scorer(total, pretrained_head, breeds))
    own_backbones = tuned_folds(tuned, fold_of, pretrained_head)
    asked = _drawn(photos.labels.species, seed=seed)
    unseen = out_of_fold(photos, parts, fold_of, fitter, pretrained_head, breeds, own_backbones, asked)
    fit.ood_scorer.standardize(unseen.evidence.pet)
    everyone = np.ones(len(photos), bool)
    held_out = partial(held_out_breeds, pretrained_head=pretrained_head, breeds=breeds, groups=folds, seed=seed)
    if not tuned:
        return FrozenResult(fit, total, fold_of, unseen, held_out(photos, total, asked=asked, learned=everyone))
    by_fold = [
        held_out(own, others, asked=asked & (fold_of == fold), learned=fold_of != fold)
        for fold, (own, others) in enumerate(own_backbones)
    ]
    return FrozenResult(fit, total, fold_of, unseen, HeldOutBreeds.joined(by_fold))


def judge_heads(
    photos: FeatureSet,
    heads: Heads,
    pretrained_head: PretrainedHead | None,
    *,
    learned: np.ndarray,
    folds: int,
    seed: int,
) -> FrozenResult:
    """The same for ``heads`` that are there. They learned from the photos that are ``learned`` (bool [N]), as the
    backbone may have, and so does the OOD scorer. All others are held out, whole and breed by breed, and dealt into
    folds for what is fitted to them in turn.
    """
    breeds = PretrainedBreeds.of(photos.taxonomy, pretrained_head)
    (total,) = collect_statistics(photos, pretrained_head, np.where(learned, 0, -1))
    fit = FrozenFit(heads, fit_ood_scorer(total, pretrained_head, breeds))
    fold_of = np.full(len(photos), folds)  # one that is never asked
    fold_of[~learned] = assign_folds(photos.labels.where(~learned), folds=folds, seed=seed, single=True)
    asked = ~learned & _drawn(photos.labels.species, seed=seed)
    features = each_fold(photos, np.where(asked, fold_of, -1))
    unseen = ask_fits(dict.fromkeys(range(folds), fit), features, np.flatnonzero(asked), photos.taxonomy, breeds)
    fit.ood_scorer.standardize(unseen.evidence.pet)
    by_breed = held_out_breeds(
        photos, total, pretrained_head, breeds, groups=folds, seed=seed, asked=asked, learned=learned
    )
    return FrozenResult(fit, total, fold_of, unseen, by_breed)


def _drawn(species: np.ndarray, *, seed: int) -> np.ndarray:
    """bool [N]: the photos to ask, by chance; ``species`` int [N]."""
    generator, drawn = np.random.default_rng(seed), np.zeros(len(species), bool)
    for one in np.unique(species):
        rows = np.flatnonzero(species == one)
        share = -(-ASKED * len(rows) // len(species))
        drawn[generator.permutation(rows)[: max(share, ASKED_OF_SPECIES)]] = True
    return drawn
