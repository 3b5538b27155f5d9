"""Heads and OOD scorer on frozen features, and what they predict for photos that they did not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch

from hierpets.config import HeadSpec
from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.model.heads import Heads
from hierpets.model.ood import Evidence, OODScorer, no_evidence, species_classes
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Labels, PretrainedHead
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.lda import fit_lda, fit_lda_heads
from hierpets.training.frozen.linear_probe import fit_heads
from hierpets.training.frozen.statistics import collect_statistics

__all__ = [
    "FrozenFit",
    "FrozenResult",
    "HeadFitter",
    "HeldOutBreeds",
    "OutOfFold",
    "TunedFold",
    "assign_folds",
    "each_fold",
    "fit_frozen",
    "fit_ood_scorer",
    "held_out_breeds",
    "out_of_fold",
    "tuned_folds",
]

ASKED = 20_000
"""Of more photos so many are asked, by chance, what those say of them that were not fitted to them: the answers stay in
memory, and more of them would move no threshold."""
ASKED_OF_SPECIES = 2_000
"""So many are asked of each species all the same, for each has its own thresholds."""

DISCRIMINANT = HeadSpec(kind="lda")  # of the OOD scorer, whatever the breed heads are


@dataclass(frozen=True)
class HeadFitter:
    """How heads are fitted, which predict with ``prior`` under ``combiner``."""

    spec: HeadSpec
    prior: Prior = "uniform"
    combiner: Combiner = "conditional"

    def fit(self, statistics: ClassStatistics, photos: FeatureSet, rows: np.ndarray | None = None) -> Heads:
        """Heads for photos and their statistics, or those where ``rows`` (bool [N]) is true.

        LDA is fitted to the statistics; logistic regression and its blend need the features themselves.
        """
        if self.spec.kind == "lda":
            return fit_lda_heads(
                statistics,
                photos.taxonomy,
                shrinkage=self.spec.shrinkage,
                prior=self.prior,
                combiner=self.combiner,
            )
        chosen = photos if rows is None else photos.where(rows)
        return fit_heads(chosen, self.spec, prior=self.prior, combiner=self.combiner)

    def fit_folds(
        self, photos: FeatureSet, parts: Sequence[ClassStatistics], folds: np.ndarray
    ) -> Iterator[tuple[int, Heads, ClassStatistics]]:
        """For each fold (``folds`` int [N], ``parts`` their statistics): heads fitted to all others, and the statistics
        of these. A fold is left out where the others lack a class.
        """
        total = ClassStatistics.total(parts)
        for fold, part in enumerate(parts):
            others = total - part
            if others.holds_every_class(photos.taxonomy):
                yield fold, self.fit(others, photos, folds != fold), others


@dataclass(frozen=True)
class FrozenFit:
    """Heads and OOD scorer, fitted to the same photos."""

    heads: Heads
    ood_scorer: OODScorer


def fit_ood_scorer(
    statistics: ClassStatistics, pretrained_head: PretrainedHead | None, breeds: PretrainedBreeds
) -> OODScorer:
    """The OOD scorer of the leaves in some statistics, which are among those of ``breeds``."""
    known = statistics.leaves
    return OODScorer.build(
        known=known,
        breeds=breeds,
        means=statistics.means_of(known),
        profiles=statistics.profiles_of(known),
        discriminant=fit_lda(statistics, known, shrinkage=DISCRIMINANT.shrinkage),
        pretrained_head=pretrained_head.head if pretrained_head else None,
        species_classes=species_classes(pretrained_head, statistics.taxonomy.species),
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


def _without_single(fold_of: np.ndarray, labels: Labels, folds: int) -> np.ndarray:
    """The same folds, but for the only photo of a class: its fold, one more, is never held out, for heads that lack a
    class are not fitted, and it would cost the photos of a whole fold.
    """
    photos = np.bincount(labels.leaf + 1)[labels.leaf + 1]  # of its class
    return np.where((photos == 1) & (labels.leaf != UNKNOWN_LEAF), folds, fold_of)


class OutOfFold(NamedTuple):
    """Species logits [M, S], leaf logits [M, L] and evidence of M photos that the heads and OOD scorers did not see;
    ``rows`` int64 [M] are their places among all, ascending.

    The fold of a photo that alone shows its class is missing: the other folds hold no such class.
    """

    rows: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    evidence: Evidence

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Where photos int [K] stand among these, int64 [K]; each of them is one of these."""
        found: np.ndarray = np.searchsorted(self.rows, rows)
        return found


def out_of_fold(
    photos: FeatureSet,
    parts: Sequence[ClassStatistics],
    folds: np.ndarray,
    fitter: HeadFitter,
    pretrained_head: PretrainedHead | None,
    breeds: PretrainedBreeds,
    tuned: Sequence[TunedFold] = (),
    asked: np.ndarray | None = None,
) -> OutOfFold:
    """What heads and OOD scorers that were fitted to the other folds predict for each photo that is ``asked`` (bool
    [N]), or for all.

    ``folds`` int [N] from 0, ``parts`` the statistics of each. Where the backbone was tuned on these photos, ``tuned``
    holds what a backbone that was not tuned on a fold makes of them, for each fold.
    """
    fitted = _fit_tuned(tuned, folds, fitter) if tuned else fitter.fit_folds(photos, parts, folds)
    fits = {fold: FrozenFit(heads, fit_ood_scorer(others, pretrained_head, breeds)) for fold, heads, others in fitted}
    judged = np.isin(folds, list(fits))
    if asked is not None:
        judged &= asked
    own_fold = np.where(judged, folds, -1)
    rows, taxonomy = np.flatnonzero(judged), photos.taxonomy
    found = OutOfFold(
        rows,
        np.zeros((len(rows), len(taxonomy.species))),
        np.zeros((len(rows), len(taxonomy.leaves))),
        no_evidence(len(rows), breeds),
    )
    by_tuned = (each_fold(own, _only(own_fold == fold, fold)) for fold, (own, _) in enumerate(tuned))
    for fold, asked_rows, features in chain.from_iterable(by_tuned) if tuned else each_fold(photos, own_fold):
        places = found.places(asked_rows)
        found.species[places], found.leaf[places] = fits[fold].heads(features)
        for column, values in zip(found.evidence, fits[fold].ood_scorer.evidence(features), strict=True):
            column[torch.from_numpy(places)] = values
    return found


class TunedFold(NamedTuple):
    """All photos as features of a backbone that was not tuned on one fold, and the statistics of those it was."""

    photos: FeatureSet
    others: ClassStatistics


def tuned_folds(
    tuned: Sequence[FeatureSet], folds: np.ndarray, pretrained_head: PretrainedHead | None
) -> list[TunedFold]:
    """With their statistics, the features of each fold's own backbone; ``folds`` int [N] from 0."""
    return [
        TunedFold(own, *collect_statistics(own, pretrained_head, _only(folds != fold, 0)))
        for fold, own in enumerate(tuned)
    ]


def _fit_tuned(
    tuned: Sequence[TunedFold], folds: np.ndarray, fitter: HeadFitter
) -> Iterator[tuple[int, Heads, ClassStatistics]]:
    """As :meth:`HeadFitter.fit_folds`, each fold on the features of its own backbone."""
    for fold, (own, others) in enumerate(tuned):
        if others.holds_every_class(own.taxonomy):
            yield fold, fitter.fit(others, own, folds != fold), others


def _drawn(species: np.ndarray, *, seed: int) -> np.ndarray:
    """bool [N]: the photos to ask, by chance; ``species`` int [N]."""
    generator, drawn = np.random.default_rng(seed), np.zeros(len(species), bool)
    for one in np.unique(species):
        rows = np.flatnonzero(species == one)
        share = -(-ASKED * len(rows) // len(species))
        drawn[generator.permutation(rows)[: max(share, ASKED_OF_SPECIES)]] = True
    return drawn


def _only(rows: np.ndarray, part: int) -> np.ndarray:
    """int64 [N]: ``part`` where ``rows`` (bool [N]) is true, -1 elsewhere."""
    return np.where(rows, part, -1)


def each_fold(photos: FeatureSet, folds: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """``(fold, rows int64 [M], features [M, D])`` for each fold in each batch; negative folds are left out."""
    for batch in photos.batches():
        features, inside = photos.features[batch], folds[batch]
        for fold in np.unique(inside[inside >= 0]).tolist():
            rows = np.flatnonzero(inside == fold)
            yield fold, rows + batch.start, features[rows]


class HeldOutBreeds(NamedTuple):
    """M photos whose breed was held out of training, and their ``rows`` int64 [M] among all. ``pretrained`` is the
    evidence where the pretrained head may know the breed, ``unlisted`` where its class is hidden too.
    """

    pretrained: Evidence
    unlisted: Evidence
    rows: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[HeldOutBreeds]) -> HeldOutBreeds:
        """All photos of at least one part."""
        pretrained, unlisted, rows = zip(*parts, strict=True)
        return cls(Evidence.joined(pretrained), Evidence.joined(unlisted), np.concatenate(rows))


def held_out_breeds(
    photos: FeatureSet,
    total: ClassStatistics,
    pretrained_head: PretrainedHead | None,
    breeds: PretrainedBreeds,
    *,
    groups: int,
    seed: int,
    asked: np.ndarray,
    learned: np.ndarray,
) -> HeldOutBreeds:
    """Photos whose breed was held out of training: what a breed looks like that no photo taught.

    ``total`` are the statistics of the photos that are ``learned``; those that are ``asked`` are held out (both bool
    [N]). The breeds of each species are dealt into ``groups``; each group is held out in turn. A species with fewer
    than three breeds keeps them all; where no species has more, M is 0.
    """
    dealt = _deal_breeds(photos.taxonomy, groups=groups, seed=seed)
    group = np.where(photos.breed_known, dealt[photos.labels.leaf], -1)
    learned, group = np.where(learned, group, -1), np.where(asked, group, -1)
    present = np.unique(learned[learned >= 0])
    parts = dict(zip(present.tolist(), collect_statistics(photos, pretrained_head, learned), strict=True))
    scorers = {
        g: fit_ood_scorer(total - part, pretrained_head, breeds)
        for g, part in parts.items()
        if {*total.leaves} - {*part.labels}
    }
    nothing = no_evidence(0, breeds)
    found = [HeldOutBreeds(nothing, nothing, np.zeros(0, np.int64))]
    for g, rows, features in each_fold(photos, group):
        if g in scorers:
            own = breeds.classes_of(breeds.trained_columns[photos.labels.leaf[rows]])
            found.append(HeldOutBreeds(scorers[g].evidence(features), scorers[g].evidence(features, own), rows))
    return HeldOutBreeds.joined(found)


def _deal_breeds(taxonomy: Taxonomy, *, groups: int, seed: int) -> np.ndarray:
    """The group of each leaf, int [L]; -1 for one that is never held out."""
    generator = np.random.default_rng(seed)
    group = np.full(len(taxonomy.leaves), -1)
    for columns in taxonomy.slices:
        leaves = generator.permutation(np.arange(columns.start, columns.stop))
        if len(leaves) >= 3:
            group[leaves] = np.arange(len(leaves)) % groups
    return group


class FrozenResult(NamedTuple):
    """What photos give: a fit to all of them, their statistics and the folds that they were dealt into (int [N]), what
    each gives when it is held out, and those whose breed was held out.
    """

    fit: FrozenFit
    statistics: ClassStatistics
    folds: np.ndarray
    out_of_fold: OutOfFold
    held_out_breeds: HeldOutBreeds


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
    fold_of = _without_single(assign_folds(photos.labels, folds=folds, seed=seed), photos.labels, folds)
    breeds = PretrainedBreeds.of(photos.taxonomy, pretrained_head)
    parts = collect_statistics(photos, pretrained_head, fold_of)
    total = ClassStatistics.total(parts)
    fit = FrozenFit(fitter.fit(total, photos), fit_ood_scorer(total, pretrained_head, breeds))
    own_backbones = tuned_folds(tuned, fold_of, pretrained_head)
    asked = _drawn(photos.labels.species, seed=seed)
    unseen = out_of_fold(photos, parts, fold_of, fitter, pretrained_head, breeds, own_backbones, asked)
    if len(unseen.rows):
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
