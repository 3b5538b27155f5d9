"""Hold breeds out of the fit, to learn what photos of unknown breeds look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hierpets.model.heads import Linear
from hierpets.model.ood import Evidence, OODScorer, no_evidence
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fitter import DISCRIMINANT, fit_ood_scorer
from hierpets.training.frozen.held_out.folds import each_fold
from hierpets.training.frozen.lda import fit_lda
from hierpets.training.frozen.species import species_margin
from hierpets.training.frozen.statistics import collect_statistics

__all__ = ["HeldOutBreeds", "held_out_breeds"]


class BreedsLeftOut(NamedTuple):
    """An OOD scorer and a ``species`` head that did not see the breeds of the photos ``rows``, int64 [K].

    The logits of the head are in units of its margin.
    """

    scorer: OODScorer
    species: Linear
    rows: np.ndarray


class HeldOutBreeds(NamedTuple):
    """Outputs for M photos whose breed was held out of training; ``rows`` int64 [M] are their indices among all photos.

    ``species`` [M, S] are the logits of a species head that did not see the breed, in units of its margin. The head is
    a linear discriminant, whatever that of the model is. ``pretrained`` is the evidence if the pretrained head may know
    the breed, ``unlisted`` that with the breed's pretrained classes hidden. ``fits`` gave these outputs.
    """

    species: np.ndarray
    pretrained: Evidence
    unlisted: Evidence
    rows: np.ndarray
    fits: tuple[BreedsLeftOut, ...]

    @classmethod
    def joined(cls, parts: Sequence[HeldOutBreeds]) -> HeldOutBreeds:
        """Concatenate at least one part."""
        species, pretrained, unlisted, rows, fits = zip(*parts, strict=True)
        evidence = Evidence.joined(pretrained), Evidence.joined(unlisted)
        return cls(np.concatenate(species), *evidence, np.concatenate(rows), sum(fits, ()))

    @classmethod
    def empty(cls, breeds: PretrainedBreeds) -> HeldOutBreeds:
        """Return the outputs for no photo."""
        species = np.zeros((0, len(breeds.taxonomy.species)))
        return cls(species, no_evidence(0, breeds), no_evidence(0, breeds), np.zeros(0, np.int64), ())

    @classmethod
    def ask(cls, fit: BreedsLeftOut, features: np.ndarray, leaf: np.ndarray, breeds: PretrainedBreeds) -> HeldOutBreeds:
        """Return the outputs of a fit for its K photos.

        ``features`` are [K, D], ``leaf`` int [K] the trained leaves of the photos, which the fit did not see.
        """
        own = breeds.classes_of(breeds.trained_columns[leaf])
        evidence = fit.scorer.evidence(features), fit.scorer.evidence(features, own)
        return cls(fit.species(features), *evidence, fit.rows, (fit,))

    def second_look(
        self, rows: np.ndarray, features: np.ndarray, leaf: np.ndarray, breeds: PretrainedBreeds
    ) -> HeldOutBreeds:
        """Return the outputs of the same fits for a second look at some photos.

        ``rows`` int64 [K] are these photos; those that are not among the held-out ones are left out. ``features``
        [K, D] are those of the second look, ``leaf`` int [K] is as in :meth:`ask`.
        """
        parts = [HeldOutBreeds.empty(breeds)]
        for fit in self.fits:
            inside = np.isin(rows, fit.rows)
            asked = fit._replace(rows=rows[inside])
            parts.append(HeldOutBreeds.ask(asked, features[inside], leaf[inside], breeds))
        return HeldOutBreeds.joined(parts)


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
    """Hold groups of breeds out in turn, and return the outputs for photos of these breeds.

    The breeds of each species are divided into ``groups``. Fits use the photos that are ``learned``, whose statistics
    are ``total``; outputs are computed for the photos that are ``asked`` (both bool [N]). Species with fewer than three
    breeds are left out, or with fewer than two if no species has three. If none has two, the result is empty.
    """
    dealt = _deal_breeds(photos.taxonomy, groups=groups, seed=seed)
    group = np.where(photos.labels.breed_known, dealt[photos.labels.leaf], -1)
    learned, group = np.where(learned, group, -1), np.where(asked, group, -1)
    present = np.unique(learned[learned >= 0])
    parts = dict(zip(present.tolist(), collect_statistics(photos, pretrained_head, learned), strict=True))
    others = {g: total - part for g, part in parts.items() if {*total.leaves} - {*part.labels}}
    fits = {
        g: (fit_ood_scorer(own, pretrained_head, breeds), _species_head(own, photos.taxonomy.species))
        for g, own in others.items()
        if {*own.taxonomy.species} == {*photos.taxonomy.species}
    }
    found = [HeldOutBreeds.empty(breeds)]
    for g, rows, features in each_fold(photos, group):
        if g in fits:
            fit = BreedsLeftOut(*fits[g], rows)
            found.append(HeldOutBreeds.ask(fit, features, photos.labels.leaf[rows], breeds))
    return HeldOutBreeds.joined(found)


def _species_head(statistics: ClassStatistics, species: Sequence[str]) -> Linear:
    """Fit a species head whose logits are in units of its margin."""
    leaves = [Leaf(name, None) for name in species]
    head = fit_lda(statistics.by_species, leaves, shrinkage=DISCRIMINANT.shrinkage)
    margin = species_margin(head, statistics, species)
    return Linear(head.weight / margin, head.bias / margin)


def _deal_breeds(taxonomy: Taxonomy, *, groups: int, seed: int) -> np.ndarray:
    """Return the group of each leaf, int [L]; -1 for a leaf that is never held out."""
    generator = np.random.default_rng(seed)
    least = 3 if max(map(len, taxonomy.tree.values())) >= 3 else 2
    group = np.full(len(taxonomy.leaves), -1)
    for columns in taxonomy.slices:
        leaves = generator.permutation(np.arange(columns.start, columns.stop))
        if len(leaves) >= least:
            group[leaves] = np.arange(len(leaves)) % groups
    return group
