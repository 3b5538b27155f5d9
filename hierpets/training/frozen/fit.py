"""Heads and ood_scorer on frozen features, and what they say of photos that they did not see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from hierpets.config import HeadSpec
from hierpets.model.heads import Heads
from hierpets.model.ood import OODScorer
from hierpets.plugin import Labels, PretrainedHead
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.frozen.linear_probe import fit_head, fit_heads

__all__ = ["FrozenFit", "Sample", "assign_folds", "fit_frozen", "held_out_breeds", "out_of_fold"]


@dataclass(frozen=True)
class Sample:
    """N photos as features float32 [N, D], with their labels and their weights float [N].

    ``views`` [N, D] are what is fitted: the same features, or their mean over several views of each photo. What is held
    out is judged by ``features``, as it will be served.
    """

    features: np.ndarray
    views: np.ndarray
    labels: Labels
    weights: np.ndarray
    taxonomy: Taxonomy

    def where(self, rows: np.ndarray) -> Sample:
        """The photos where ``rows`` (bool [N]) is true."""
        labels = replace(self.labels, species=self.labels.species[rows], leaf=self.labels.leaf[rows])
        return Sample(self.features[rows], self.views[rows], labels, self.weights[rows], self.taxonomy)

    @property
    def breed_known(self) -> np.ndarray:
        known: np.ndarray = self.labels.leaf != UNKNOWN_LEAF
        return known

    def holds_every_class(self) -> bool:
        species, leaves = (np.unique(column) for column in (self.labels.species, self.labels.leaf))
        every = np.isin(np.arange(len(self.taxonomy.leaves)), leaves).all()
        return bool(every) and len(species) == len(self.taxonomy.species)


@dataclass(frozen=True)
class FrozenFit:
    """Heads, and the part that tells strangers, fitted on the same photos."""

    heads: Heads
    ood_scorer: OODScorer

    def signals(self, features: np.ndarray) -> torch.Tensor:
        """Raw signals float32 [N, 4] of features [N, D]."""
        return raw_signals(self.ood_scorer, features)


def raw_signals(ood_scorer: OODScorer, features: np.ndarray) -> torch.Tensor:
    """Raw signals float32 [N, 4] of features [N, D]."""
    with torch.inference_mode():
        return ood_scorer.signals(torch.from_numpy(features)).table()


def fit_ood_scorer(
    views: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    classes: int,
    pretrained_head: PretrainedHead | None,
    species: tuple[str, ...],
) -> OODScorer:
    """Fit the part that tells strangers to ``views`` [N, D] of ``classes`` known classes, ``labels`` int [N]."""
    return OODScorer.fit(
        torch.from_numpy(views),
        torch.from_numpy(labels),
        discriminant=fit_head(views, labels, weights, classes=classes, spec=HeadSpec(kind="lda")),
        pretrained_head=pretrained_head,
        species=species,
    )


def fit_frozen(sample: Sample, spec: HeadSpec, pretrained_head: PretrainedHead | None) -> FrozenFit:
    """Fit heads and ood_scorer."""
    labels, known = sample.labels, sample.breed_known
    heads = fit_heads(
        sample.views,
        species=labels.species,
        leaf=labels.leaf,
        weights=sample.weights,
        taxonomy=sample.taxonomy,
        spec=spec,
    )
    ood_scorer = fit_ood_scorer(
        sample.views[known],
        labels.leaf[known],
        sample.weights[known],
        classes=len(sample.taxonomy.leaves),
        pretrained_head=pretrained_head,
        species=sample.taxonomy.species,
    )
    return FrozenFit(heads, ood_scorer)


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


def out_of_fold(
    sample: Sample, spec: HeadSpec, pretrained_head: PretrainedHead | None, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, torch.Tensor, np.ndarray]:
    """Species logits [N, S], leaf logits [N, L], signals [N, 4], and ``judged`` bool [N].

    A photo is judged when the other folds hold every class; with a single photo of a class, its fold is not judged.
    """
    n, taxonomy = len(sample.labels), sample.taxonomy
    species_logits, leaf_logits = np.zeros((n, len(taxonomy.species))), np.zeros((n, len(taxonomy.leaves)))
    signals, judged = torch.zeros(n, 4), np.zeros(n, dtype=bool)
    for fold in np.unique(folds):
        held_out = folds == fold
        seen = sample.where(~held_out)
        if not seen.holds_every_class():
            continue
        fit = fit_frozen(seen, spec, pretrained_head)
        features = sample.features[held_out]
        species_logits[held_out], leaf_logits[held_out] = fit.heads(features)
        signals[torch.from_numpy(held_out)] = fit.signals(features)
        judged |= held_out
    return species_logits, leaf_logits, signals, judged


def held_out_breeds(sample: Sample, pretrained_head: PretrainedHead | None, *, groups: int, seed: int) -> torch.Tensor:
    """Signals [M, 4] of photos whose breed was held out of training: what an unlisted breed looks like.

    The breeds of each species are dealt into ``groups``; each group is held out in turn. A species with fewer than
    three breeds keeps them all; where no species has more, M is 0.
    """
    group = _deal_breeds(sample.taxonomy, groups=groups, seed=seed)
    known = sample.where(sample.breed_known)
    found = [torch.zeros(0, 4)]
    for g in range(groups):
        held_out = (group == g)[known.labels.leaf]
        if not held_out.any() or held_out.all():
            continue
        seen = known.where(~held_out)
        kept, labels = np.unique(seen.labels.leaf, return_inverse=True)
        ood_scorer = fit_ood_scorer(
            seen.views,
            labels,
            seen.weights,
            classes=len(kept),
            pretrained_head=pretrained_head,
            species=sample.taxonomy.species,
        )
        found.append(raw_signals(ood_scorer, known.features[held_out]))
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
