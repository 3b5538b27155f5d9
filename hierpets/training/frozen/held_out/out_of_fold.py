"""Outputs of heads and OOD scorers for photos of a fold that they were not fitted to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch

from hierpets.model.heads import Heads
from hierpets.model.ood import Evidence, no_evidence
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.taxonomy import Taxonomy
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fitter import FrozenFit, HeadFitter, fit_ood_scorer
from hierpets.training.frozen.held_out.folds import each_fold
from hierpets.training.frozen.statistics import collect_statistics

__all__ = ["OutOfFold", "TunedFold", "ask_fits", "out_of_fold", "tuned_folds"]


class OutOfFold(NamedTuple):
    """Species logits [M, S], leaf logits [M, L] and evidence of M photos, from fits to the other folds.

    ``rows`` int64 [M], ascending, are the indices of these photos among all. ``fits`` holds the fits by the fold that
    they did not see. A fold is missing if the others lack a class, or if it holds the only photos of their leaves.
    """

    rows: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    evidence: Evidence
    fits: Mapping[int, FrozenFit]

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Return the positions, int64 [K], of the photos ``rows``, int [K], in the arrays; all must be in them."""
        return np.searchsorted(self.rows, rows)

    def second_look(self, rows: np.ndarray, features: np.ndarray, folds: np.ndarray) -> OutOfFold:
        """Return the outputs of the same fits for a second look at some of these photos.

        ``rows`` int64 [K], ascending, are these photos, ``features`` [K, D] those of the second look, ``folds`` int [N]
        the folds of all photos.
        """
        places, own = self.places(rows), folds[rows]
        found = OutOfFold(rows, self.species[places], self.leaf[places], self.evidence.where(places), self.fits)
        for fold in np.unique(own).tolist():
            found.fill_in(fold, np.flatnonzero(own == fold), features[own == fold])
        return found

    def fill_in(self, fold: int, places: np.ndarray, features: np.ndarray) -> None:
        """Fill in the outputs for photos of a fold with features [K, D], at positions ``places`` int64 [K]."""
        fit = self.fits[fold]
        self.species[places], self.leaf[places] = fit.heads(features)
        for column, values in zip(self.evidence, fit.ood_scorer.evidence(features), strict=True):
            column[torch.from_numpy(places)] = values


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
    """Return the outputs for photos that are ``asked``, bool [N], or all, from fits to the other folds.

    ``folds`` int [N] counts from 0, ``parts`` are the statistics of each fold. If the backbone was tuned on these
    photos, ``tuned`` holds, for each fold, their features from a backbone that was not tuned on it.
    """
    fitted = _fit_tuned(tuned, folds, fitter) if tuned else fitter.fit_folds(photos, parts, folds)
    fits = {fold: FrozenFit(heads, fit_ood_scorer(others, pretrained_head, breeds)) for fold, heads, others in fitted}
    judged = np.isin(folds, list(fits))
    if asked is not None:
        judged &= asked
    own_fold = np.where(judged, folds, -1)
    by_tuned = (each_fold(own, _only(own_fold == fold, fold)) for fold, (own, _) in enumerate(tuned))
    features = chain.from_iterable(by_tuned) if tuned else each_fold(photos, own_fold)
    return ask_fits(fits, features, np.flatnonzero(judged), photos.taxonomy, breeds)


def ask_fits(
    fits: Mapping[int, FrozenFit],
    features: Iterable[tuple[int, np.ndarray, np.ndarray]],
    rows: np.ndarray,
    taxonomy: Taxonomy,
    breeds: PretrainedBreeds,
) -> OutOfFold:
    """Return the outputs for photos ``rows``, int64 [M] ascending, each from the fit to the other folds.

    ``features`` yields the features of all these photos, like :func:`each_fold`.
    """
    found = OutOfFold(
        rows,
        np.zeros((len(rows), len(taxonomy.species))),
        np.zeros((len(rows), len(taxonomy.leaves))),
        no_evidence(len(rows), breeds),
        fits,
    )
    for fold, asked, vectors in features:
        found.fill_in(fold, found.places(asked), vectors)
    return found


class TunedFold(NamedTuple):
    """Features of all photos from a backbone that was not tuned on one fold, and the statistics of the other folds."""

    photos: FeatureSet
    others: ClassStatistics


def tuned_folds(
    tuned: Sequence[FeatureSet], folds: np.ndarray, pretrained_head: PretrainedHead | None
) -> list[TunedFold]:
    """Add statistics to the features from each fold's own backbone; ``folds`` int [N] counts from 0."""
    return [
        TunedFold(own, *collect_statistics(own, pretrained_head, _only(folds != fold, 0)))
        for fold, own in enumerate(tuned)
    ]


def _fit_tuned(
    tuned: Sequence[TunedFold], folds: np.ndarray, fitter: HeadFitter
) -> Iterator[tuple[int, Heads, ClassStatistics]]:
    """Like :meth:`HeadFitter.fit_folds`, with the features from each fold's own backbone."""
    for fold, (own, others) in enumerate(tuned):
        if others.holds_every_class(own.taxonomy):
            yield fold, fitter.fit(others, own, folds != fold), others


def _only(rows: np.ndarray, part: int) -> np.ndarray:
    """Return int64 [N]: ``part`` where ``rows``, bool [N], is true, -1 elsewhere."""
    return np.where(rows, part, -1)
