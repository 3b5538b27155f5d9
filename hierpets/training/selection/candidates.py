"""Which frozen features and which heads there are to choose from, each cross-validated on the training photos alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hierpets.config import AutoConfig, HeadSpec, TrainConfig
from hierpets.evaluation.metrics.classes import balanced_weights
from hierpets.plugin import Backbone
from hierpets.plugin.contracts import extract_features
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.taxonomy import UNKNOWN_LEAF
from hierpets.training.features.feature_set import FeatureSet, extract_feature_set
from hierpets.training.features.prepared import Prepared, prepare_backbone
from hierpets.training.frozen.choice import FrozenChoice
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.held_out.cross_validation import FoldHeads
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.score import LabeledLogits, Score
from hierpets.training.selection.stressed import StressedFeatures, extract_stressed
from hierpets.training.splits import Splits

__all__ = ["Candidate", "Judged", "head_specs", "iter_candidates", "multiply_adds"]

LOGISTIC_PHOTOS = 5000  # above that, a logistic regression takes minutes


class Judged(NamedTuple):
    """Which of N photos are ``right`` (bool [N]), and what each counts (float [N], the sum is one): classes all count
    the same, photos that are not judged nothing.
    """

    right: np.ndarray
    weights: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """float [N]: what each photo adds to the balanced accuracy."""
        return self.right * self.weights

    @property
    def accuracy(self) -> float:
        """Balanced accuracy."""
        return min(1.0, float(self.shares.sum()))  # what rounding adds to all of them is no accuracy


@dataclass(frozen=True)
class Candidate:
    """A choice, how well it did out of fold, and the ``multiply_adds`` that it takes for a photo.

    ``plain`` are the training photos as they are, ``spoiled`` those of the stress test, if there was one.
    """

    choice: FrozenChoice
    score: Score
    plain: Judged
    spoiled: Judged | None
    multiply_adds: int

    @property
    def criterion(self) -> np.ndarray:
        """float [N]: what each training photo adds to what candidates are compared by, the mean of both accuracies."""
        shares = self.plain.shares
        return shares if self.spoiled is None else (shares + self.spoiled.shares) / 2

    @property
    def stressed(self) -> float | None:
        """Balanced accuracy on spoiled photos."""
        return self.spoiled.accuracy if self.spoiled else None

    def as_event(self) -> dict[str, Any]:
        """A row of the table."""
        numbers = {**self.score.as_dict(), "stressed": self.stressed}
        return {
            "backbone": str(self.choice.backbone),
            "view": self.choice.view,
            "head": str(self.choice.head),
            **{key: value and round(value, 5) for key, value in numbers.items()},
        }


def iter_candidates(
    splits: Splits,
    config: TrainConfig,
    *,
    folds: np.ndarray,
    registry: Registry,
    device: str,
    progress: Progress,
    first: Prepared | None = None,
) -> Iterator[Candidate]:
    """Cross-validate every candidate on the training photos, ``folds`` int [N]; validation photos are not looked at.
    ``first`` is the first backbone, if it is prepared.
    """
    for backbone in config.candidate_backbones:
        built, _, extractor = first or prepare_backbone(backbone, config, registry=registry, device=device)
        first = None
        stressed = extract_stressed(splits, extractor, progress) if config.auto.stress else None
        cost = multiply_adds(built)
        for view in config.auto.views:
            photos = extract_feature_set(splits, extractor, view, progress)
            parts = collect_statistics(photos, None, folds)
            for head in head_specs(config.auto, len(photos)):
                fitted = FoldHeads.fit(photos, parts, folds, HeadFitter(head, config.prior, config.combiner))
                if fitted is not None:
                    yield _candidate(FrozenChoice(backbone, view, head), fitted, photos, stressed, cost)


def head_specs(auto: AutoConfig, photos: int) -> Iterator[HeadSpec]:
    """The heads to compare; those with a logistic regression only where it takes seconds."""
    for spec in auto.heads:
        if spec.kind == "lda" or photos <= LOGISTIC_PHOTOS:
            yield spec


def multiply_adds(backbone: Backbone) -> int:
    """Multiply-adds of one photo, which depend on no machine."""
    size = backbone.preprocess.size
    with backbone.guard(), FlopCounterMode(display=False) as counter:
        extract_features(backbone.module, torch.zeros(1, 3, size, size))
    return counter.get_total_flops() // 2


def _candidate(
    choice: FrozenChoice, fitted: FoldHeads, photos: FeatureSet, stressed: StressedFeatures | None, cost: int
) -> Candidate:
    logits, everyone = fitted.ask(photos), np.arange(len(photos))
    plain = _judge(logits, everyone[fitted.judged], len(photos))
    spoiled = _judge_stressed(fitted, photos, stressed) if stressed else None
    return Candidate(choice, logits.score(), plain, spoiled, cost)


def _judge_stressed(fitted: FoldHeads, photos: FeatureSet, stressed: StressedFeatures) -> Judged:
    chosen = fitted.of(stressed.rows)
    worse = replace(photos.where(stressed.rows), features=stressed.features)
    return _judge(chosen.ask(worse), stressed.rows[chosen.judged], len(photos))


def _judge(logits: LabeledLogits, rows: np.ndarray, photos: int) -> Judged:
    """Logits of some of the photos, int [M] of N."""
    classes, guessed = logits.finest
    known = classes != UNKNOWN_LEAF
    right, weights = np.zeros(photos, bool), np.zeros(photos)
    right[rows] = guessed == classes
    weights[rows[known]] = balanced_weights(classes[known])
    return Judged(right, weights)
