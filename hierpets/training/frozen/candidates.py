"""Which frozen features and which heads: recipe ``auto`` cross-validates them on the training photos alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierpets.config import AutoConfig, BackboneChoice, HeadSpec, TrainConfig
from hierpets.hierarchy.probabilities import Combiner
from hierpets.model.backbone import build_backbone
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.training.frozen.extractor import make_extractor
from hierpets.training.frozen.feature_set import FeatureSet, extract_feature_set
from hierpets.training.frozen.fit import assign_folds
from hierpets.training.frozen.linear_probe import fit_heads
from hierpets.training.prior import TargetPrior
from hierpets.training.score import Score, score_logits
from hierpets.training.splits import Splits

__all__ = ["Candidate", "FrozenChoice", "best_candidate", "cross_validate", "head_specs", "iter_candidates"]

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
            for head in head_specs(config.auto, len(photos)):
                score = cross_validate(photos, head, folds, config.combiner, prior=config.prior)
                if score is not None:
                    yield Candidate(FrozenChoice(backbone, view, head), score)


def head_specs(auto: AutoConfig, photos: int) -> Iterator[HeadSpec]:
    """The heads to compare; those with a logistic regression only where it takes seconds."""
    for spec in auto.heads:
        if spec.kind == "lda" or photos <= LOGISTIC_PHOTOS:
            yield spec


def cross_validate(
    photos: FeatureSet, spec: HeadSpec, folds: np.ndarray, combiner: Combiner, *, prior: TargetPrior = "uniform"
) -> Score | None:
    """How good heads are on photos that they did not see; None where no fold (int [N]) can be judged."""
    n, taxonomy = len(photos), photos.taxonomy
    species, leaf = np.zeros((n, len(taxonomy.species))), np.zeros((n, len(taxonomy.leaves)))
    judged = np.zeros(n, bool)
    for fold in np.unique(folds):
        held_out = folds == fold
        others = photos.where(~held_out)
        if others.holds_every_class():
            species[held_out], leaf[held_out] = fit_heads(others, spec, prior=prior, combiner=combiner)(
                photos.features[held_out]
            )
            judged |= held_out
    if not judged.any():
        return None
    labels = photos.where(judged).labels
    return score_logits(species[judged], leaf[judged], labels=labels, taxonomy=taxonomy, combiner=combiner)


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The best by breed balanced accuracy, then likelihood; the earlier, cheaper one of equals."""
    return max(candidates, key=lambda candidate: candidate.score.rank)
