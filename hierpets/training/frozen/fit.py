"""Fit heads and OOD scorer to frozen features, and collect their outputs for held-out photos."""

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

MAX_HELD_OUT = 20_000
"""Of more photos than this, held-out outputs are computed for a random sample of about this size: they stay in memory,
and more of them would change no threshold."""
MIN_HELD_OUT_OF_SPECIES = 2_000
"""The sample has at least this many photos of each species that has them, because each has thresholds of its own."""


class FrozenResult(NamedTuple):
    """A fit to all photos, their statistics and folds, int [N], and the outputs for held-out photos and breeds."""

    fit: FrozenFit
    statistics: ClassStatistics
    folds: np.ndarray
    out_of_fold: OutOfFold
    held_out_breeds: HeldOutBreeds

    def second_look(
        self, rows: np.ndarray, features: np.ndarray, labels: Labels, breeds: PretrainedBreeds
    ) -> FrozenResult:
        """Replace the held-out outputs by those for a second look at some photos.

        ``rows`` int64 [K], ascending, are these photos, and ``features`` [K, D] those of the second look. ``labels``
        are those of all photos, ``breeds`` those of the trained leaves alone.
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
    """Fit heads and OOD scorer to all photos, then hold photos out fold by fold and breed by breed.

    ``tuned`` holds, for each fold, the features of all photos from a backbone that was not tuned on that fold.

    With LDA heads, features are read in batches, a few times over, so that memory does not grow with the number of
    photos. Held-out outputs are kept for :data:`MAX_HELD_OUT` photos, roughly, if there are more.
    """
    fold_of = assign_folds(photos.labels, folds=folds, seed=seed)
    breeds = PretrainedBreeds.of(photos.taxonomy, pretrained_head)
    parts = collect_statistics(photos, pretrained_head, fold_of)
    total = ClassStatistics.total(parts)
    fit = FrozenFit(fitter.fit(total, photos), fit_ood_scorer(total, pretrained_head, breeds))
    own_backbones = tuned_folds(tuned, fold_of, pretrained_head)
    asked = _sample(photos.labels.species, seed=seed)
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
    """Like :func:`fit_frozen`, for existing ``heads``, with a fixed part of the photos held out.

    Photos that are ``learned``, bool [N], are those that the heads, and perhaps the backbone, were fitted to; the OOD
    scorer is fitted to them as well. All others are held out, as they are and breed by breed, and assigned to folds,
    for cross-validating what is fitted to their outputs.
    """
    breeds = PretrainedBreeds.of(photos.taxonomy, pretrained_head)
    (total,) = collect_statistics(photos, pretrained_head, np.where(learned, 0, -1))
    fit = FrozenFit(heads, fit_ood_scorer(total, pretrained_head, breeds))
    fold_of = np.full(len(photos), folds)  # a fold that is never held out
    fold_of[~learned] = assign_folds(photos.labels.where(~learned), folds=folds, seed=seed, single=True)
    asked = ~learned & _sample(photos.labels.species, seed=seed)
    features = each_fold(photos, np.where(asked, fold_of, -1))
    unseen = ask_fits(dict.fromkeys(range(folds), fit), features, np.flatnonzero(asked), photos.taxonomy, breeds)
    fit.ood_scorer.standardize(unseen.evidence.pet)
    by_breed = held_out_breeds(
        photos, total, pretrained_head, breeds, groups=folds, seed=seed, asked=asked, learned=learned
    )
    return FrozenResult(fit, total, fold_of, unseen, by_breed)


def _sample(species: np.ndarray, *, seed: int) -> np.ndarray:
    """Sample the photos whose held-out outputs are computed, bool [N]; ``species`` int [N]."""
    generator, sampled = np.random.default_rng(seed), np.zeros(len(species), bool)
    for one in np.unique(species):
        rows = np.flatnonzero(species == one)
        share = -(-MAX_HELD_OUT * len(rows) // len(species))
        sampled[generator.permutation(rows)[: max(share, MIN_HELD_OUT_OF_SPECIES)]] = True
    return sampled
