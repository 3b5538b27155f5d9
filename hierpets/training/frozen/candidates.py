"""Which frozen features and which heads: recipe ``auto`` cross-validates them on the training photos alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierpets.config import AutoConfig, BackboneChoice, HeadSpec, TrainConfig
from hierpets.model.backbone import build_backbone
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.training.frozen.extractor import make_extractor
from hierpets.training.frozen.feature_set import FeatureSet, extract_feature_set
from hierpets.training.frozen.fit import HeadFitter, assign_folds, each_fold
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.score import Score, score_logits
from hierpets.training.splits import Splits

__all__ = ["Candidate", "FrozenChoice", "cross_validate", "head_specs", "iter_candidates", "rank_candidates"]

LOGISTIC_PHOTOS = 5000  # above that, a logistic regression takes minutes


@dataclass(frozen=True)
class FrozenChoice:
    """A backbone, the views that its features are averaged over, and the heads that are fitted to them."""

    backbone: BackboneChoice
    view: str
    head: HeadSpec

    def __str__(self) -> str:
        return f"{self.backbone}, {self.view} features, {self.head}"


@dataclass(frozen=True)
class Candidate:
    """A choice, and how well it did out of fold."""

    choice: FrozenChoice
    score: Score

    def as_event(self) -> dict[str, Any]:
        """A row of the table."""
        return {
            "backbone": str(self.choice.backbone),
            "view": self.choice.view,
            "head": str(self.choice.head),
            **{key: value and round(value, 5) for key, value in self.score.as_dict().items()},
        }


def iter_candidates(
    splits: Splits, config: TrainConfig, *, registry: Registry, device: str, progress: Progress
) -> Iterator[Candidate]:
    """Cross-validate every candidate on the training photos; validation photos are not looked at."""
    folds = assign_folds(splits.labels, folds=config.folds, seed=config.seed)
    for backbone in config.candidate_backbones:
        built, spec = build_backbone(registry, backbone.name, backbone.options)
        extractor = make_extractor(built, spec, config, registry=registry, device=device)
        for view in config.auto.views:
            photos = extract_feature_set(splits, extractor, view, progress)
            parts = collect_statistics(photos, None, folds)
            for head in head_specs(config.auto, len(photos)):
                score = cross_validate(photos, parts, folds, HeadFitter(head, config.prior, config.combiner))
                if score is not None:
                    yield Candidate(FrozenChoice(backbone, view, head), score)


def head_specs(auto: AutoConfig, photos: int) -> Iterator[HeadSpec]:
    """The heads to compare; those with a logistic regression only where it takes seconds."""
    for spec in auto.heads:
        if spec.kind == "lda" or photos <= LOGISTIC_PHOTOS:
            yield spec


def cross_validate(
    photos: FeatureSet, parts: Sequence[ClassStatistics], folds: np.ndarray, fitter: HeadFitter
) -> Score | None:
    """How good heads are on photos that they did not see; None where no fold can be judged.

    ``folds`` int [N] from 0, ``parts`` the statistics of each.
    """
    n, taxonomy = len(photos), photos.taxonomy
    species, leaf = np.zeros((n, len(taxonomy.species))), np.zeros((n, len(taxonomy.leaves)))
    fits = {fold: heads for fold, heads, _ in fitter.fit_folds(photos, parts, folds)}
    for fold, rows, features in each_fold(photos, folds):
        if fold in fits:
            species[rows], leaf[rows] = fits[fold](features)
    if not fits:
        return None
    judged, labels = np.isin(folds, list(fits)), photos.labels
    seen = labels.where(judged)
    return score_logits(species[judged], leaf[judged], labels=seen, taxonomy=taxonomy, combiner=fitter.combiner)


def rank_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first, by breed balanced accuracy, then likelihood; the earlier, cheaper one of equals."""
    return sorted(candidates, key=lambda candidate: candidate.score.rank, reverse=True)
