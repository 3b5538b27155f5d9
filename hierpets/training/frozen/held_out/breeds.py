"""What a breed looks like that no photo taught: photos whose breed was held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hierpets.model.ood import Evidence, OODScorer, no_evidence
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.taxonomy import Taxonomy
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fitter import fit_ood_scorer
from hierpets.training.frozen.held_out.folds import each_fold
from hierpets.training.frozen.statistics import collect_statistics

__all__ = ["HeldOutBreeds", "held_out_breeds"]


class HeldOutBreeds(NamedTuple):
    """M photos whose breed was held out of training, and their ``rows`` int64 [M] among all. ``pretrained`` is the
    evidence where the pretrained head may know the breed, ``unlisted`` where its class is hidden too. ``scorers`` are
    those that did not see the breeds of these photos, each with its rows.
    """

    pretrained: Evidence
    unlisted: Evidence
    rows: np.ndarray
    scorers: tuple[tuple[OODScorer, np.ndarray], ...]

    @classmethod
    def joined(cls, parts: Sequence[HeldOutBreeds]) -> HeldOutBreeds:
        """All photos of at least one part."""
        pretrained, unlisted, rows, scorers = zip(*parts, strict=True)
        return cls(Evidence.joined(pretrained), Evidence.joined(unlisted), np.concatenate(rows), sum(scorers, ()))

    @classmethod
    def empty(cls, breeds: PretrainedBreeds) -> HeldOutBreeds:
        """Of no photo."""
        return cls(no_evidence(0, breeds), no_evidence(0, breeds), np.zeros(0, np.int64), ())

    @classmethod
    def ask(
        cls, scorer: OODScorer, rows: np.ndarray, features: np.ndarray, leaf: np.ndarray, breeds: PretrainedBreeds
    ) -> HeldOutBreeds:
        """What a scorer says of K photos, by their ``rows`` int64 [K], ``features`` [K, D] and ``leaf`` int [K], a
        trained one that it did not see.
        """
        own = breeds.classes_of(breeds.trained_columns[leaf])
        return cls(scorer.evidence(features), scorer.evidence(features, own), rows, ((scorer, rows),))

    def second_look(
        self, rows: np.ndarray, features: np.ndarray, leaf: np.ndarray, breeds: PretrainedBreeds
    ) -> HeldOutBreeds:
        """What the same scorers say of a second look at photos ``rows`` int64 [K], by its ``features`` [K, D], as far
        as they are among these; ``leaf`` int [K] as in :meth:`ask`.
        """
        parts = [HeldOutBreeds.empty(breeds)]
        for scorer, own in self.scorers:
            inside = np.isin(rows, own)
            parts.append(HeldOutBreeds.ask(scorer, rows[inside], features[inside], leaf[inside], breeds))
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
    """Photos whose breed was held out of training: what a breed looks like that no photo taught.

    ``total`` are the statistics of the photos that are ``learned``; those that are ``asked`` are held out (both bool
    [N]). The breeds of each species are dealt into ``groups``; each group is held out in turn. A species with fewer
    than three breeds keeps them all, or, where no species has more, fewer than two; where none has two, M is 0.
    """
    dealt = _deal_breeds(photos.taxonomy, groups=groups, seed=seed)
    group = np.where(photos.labels.breed_known, dealt[photos.labels.leaf], -1)
    learned, group = np.where(learned, group, -1), np.where(asked, group, -1)
    present = np.unique(learned[learned >= 0])
    parts = dict(zip(present.tolist(), collect_statistics(photos, pretrained_head, learned), strict=True))
    scorers = {
        g: fit_ood_scorer(total - part, pretrained_head, breeds)
        for g, part in parts.items()
        if {*total.leaves} - {*part.labels}
    }
    found = [HeldOutBreeds.empty(breeds)]
    for g, rows, features in each_fold(photos, group):
        if g in scorers:
            found.append(HeldOutBreeds.ask(scorers[g], rows, features, photos.labels.leaf[rows], breeds))
    return HeldOutBreeds.joined(found)


def _deal_breeds(taxonomy: Taxonomy, *, groups: int, seed: int) -> np.ndarray:
    """The group of each leaf, int [L]; -1 for one that is never held out."""
    generator = np.random.default_rng(seed)
    least = 3 if max(map(len, taxonomy.tree.values())) >= 3 else 2
    group = np.full(len(taxonomy.leaves), -1)
    for columns in taxonomy.slices:
        leaves = generator.permutation(np.arange(columns.start, columns.stop))
        if len(leaves) >= least:
            group[leaves] = np.arange(len(leaves)) % groups
    return group
