"""Fit heads and an OOD scorer to frozen features."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from hierpets.config import HeadSpec
from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.model.heads import Heads
from hierpets.model.ood import OODScorer
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.pretrained_head import classes_by_species, species_classes
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.lda import fit_lda, fit_lda_heads
from hierpets.training.frozen.linear_probe import fit_heads

__all__ = ["DISCRIMINANT", "FrozenFit", "HeadFitter", "fit_ood_scorer", "refit_ood_scorer"]

DISCRIMINANT = HeadSpec(kind="lda")  # the discriminant of the OOD scorer, whatever the breed heads are


@dataclass(frozen=True)
class HeadFitter:
    """Fits heads that predict with ``prior`` under ``combiner``."""

    spec: HeadSpec
    prior: Prior = "uniform"
    combiner: Combiner = "conditional"

    def fit(self, statistics: ClassStatistics, photos: FeatureSet, rows: np.ndarray | None = None) -> Heads:
        """Fit heads to photos, all or those where ``rows``, bool [N], is true, whose statistics are given as well.

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
        """Yield each fold with the heads fitted to all other folds, and the statistics of these.

        ``folds`` int [N] is the fold of each photo, ``parts`` the statistics of each fold. A fold is skipped if the
        others lack a class.
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
    """Fit the OOD scorer to the leaves in ``statistics``, which are among those of ``breeds``."""
    shown = species_classes(pretrained_head, statistics.taxonomy.species)
    if pretrained_head is None:
        return refit_ood_scorer(statistics, None, shown, breeds)
    head = pretrained_head.head
    shows_each = classes_by_species(pretrained_head.species_classes, breeds.taxonomy, head.out_features)
    return refit_ood_scorer(statistics, head, shown, breeds, shows_each=shows_each)


def refit_ood_scorer(
    statistics: ClassStatistics,
    head: nn.Linear | None,
    shown: Sequence[int],
    breeds: PretrainedBreeds,
    *,
    shows_each: np.ndarray | None = None,
    grown: Collection[str] = (),
    trained_classes: Sequence[int] = (),
) -> OODScorer:
    """Like :func:`fit_ood_scorer`, for a pretrained ``head`` of which only the linear layer is known.

    Of its classes, those in ``shown`` show a known species, and ``trained_classes`` one that is not ``grown``.
    ``shows_each`` bool [S, K] is the result of :func:`classes_by_species`.
    """
    known = statistics.leaves
    return OODScorer.build(
        known=known,
        breeds=breeds,
        means=statistics.means_of(known),
        profiles=statistics.profiles_of(known),
        discriminant=fit_lda(statistics, known, shrinkage=DISCRIMINANT.shrinkage),
        pretrained_head=head,
        species_classes=shown,
        shows_each=shows_each,
        grown=grown,
        trained_classes=trained_classes,
    )
