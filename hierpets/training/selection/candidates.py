"""Candidates of recipe ``auto``: frozen features and heads, each cross-validated on the training photos alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import hierpets
from hierpets.config import AutoConfig, FrozenChoice, HeadSpec, TrainConfig
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Backbone
from hierpets.plugin.contracts import extract_features
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.training.features.feature_set import FeatureSet, extract_feature_set
from hierpets.training.features.prepared import Prepared, prepare_backbone
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.held_out.cross_validation import FoldHeads
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.score import Judged, LabeledLogits, Score
from hierpets.training.selection.corrupted import CorruptedFeatures, extract_corrupted
from hierpets.training.selection.judgements import Judgement, Judgements
from hierpets.training.splits import Splits

__all__ = ["Candidate", "count_candidates", "head_specs", "iter_candidates", "multiply_adds"]

LOGISTIC_PHOTOS = 5000  # above that, a logistic regression takes minutes


@dataclass(frozen=True)
class Candidate:
    """A choice of features and heads, its out-of-fold judgement, and the ``multiply_adds`` that a photo takes."""

    choice: FrozenChoice
    judgement: Judgement
    multiply_adds: int

    @property
    def score(self) -> Score:
        return self.judgement.score

    @property
    def plain(self) -> Judged:
        return self.judgement.plain

    @property
    def criterion(self) -> np.ndarray:
        """float [N]: the contribution of each training photo to the criterion of the comparison.

        That is the mean of the accuracies on plain and on corrupted photos, if there are any of the latter.
        """
        _, plain, corrupted = self.judgement
        return plain.shares if corrupted is None else (plain.shares + corrupted.shares) / 2

    @property
    def corrupted(self) -> float | None:
        """Balanced accuracy on corrupted photos; None if there were none."""
        return self.judgement.corrupted.accuracy if self.judgement.corrupted else None

    def as_event(self) -> dict[str, Any]:
        """Return the fields of the log event."""
        numbers = {**self.score.as_dict(), "stressed": self.corrupted}
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
    first: Prepared | None,
    judgements: Judgements | None,
) -> Iterator[Candidate | None]:
    """Cross-validate every candidate on the training photos, and yield it, or None if there are too few photos for it.

    Validation photos are not used. ``folds`` int [N] is the fold of each photo. ``first`` is the first backbone, if it
    has been prepared already. ``judgements`` holds earlier ones, which are not made again, and stores new ones.
    """
    for backbone in config.candidate_backbones:
        built, _, extractor = first or prepare_backbone(backbone, config, registry=registry, device=device)
        first = None
        corrupted = extract_corrupted(splits, extractor, progress) if config.auto.stress else None
        cost = multiply_adds(built)
        for view in config.auto.views:
            photos = extract_feature_set(splits, extractor, view, progress)
            judge = _Judge(photos, corrupted, folds, judgements)
            for head in head_specs(config.auto, len(photos)):
                judgement = judge(HeadFitter(head, config.prior, config.combiner))
                yield judgement and Candidate(FrozenChoice(backbone, view, head), judgement, cost)


def count_candidates(config: TrainConfig, photos: int) -> int:
    """Return the number of candidates to compare on so many photos."""
    return len(config.candidate_backbones) * len(config.auto.views) * len(head_specs(config.auto, photos))


def head_specs(auto: AutoConfig, photos: int) -> list[HeadSpec]:
    """Return the heads to compare; with logistic regression only if it takes seconds, or if there are no others."""
    quick = [spec for spec in auto.heads if spec.kind == "lda" or photos <= LOGISTIC_PHOTOS]
    return quick or [*auto.heads]


def multiply_adds(backbone: Backbone) -> int:
    """Count a backbone's multiply-adds per photo, a measure of cost that is the same on every machine."""
    size = backbone.preprocess.size
    with backbone.guard(), FlopCounterMode(display=False) as counter:
        extract_features(backbone.module, torch.zeros(1, 3, size, size))
    return counter.get_total_flops() // 2


@dataclass(frozen=True)
class _Judge:
    """Judges heads by cross-validation on the frozen features of N photos, with ``folds`` int [N]."""

    photos: FeatureSet
    corrupted: CorruptedFeatures | None
    folds: np.ndarray
    judgements: Judgements | None

    def __call__(self, fitter: HeadFitter) -> Judgement | None:
        """Return the stored judgement, or make one; None if folds lack classes."""
        if self.judgements is None:
            return self._cross_validate(fitter)
        digest = hashlib.sha256(repr((hierpets.__version__, self._digest, fitter)).encode()).hexdigest()
        judgement = self.judgements.get(digest)
        if judgement is None and (judgement := self._cross_validate(fitter)) is not None:
            self.judgements.put(digest, judgement)
        return judgement

    def _cross_validate(self, fitter: HeadFitter) -> Judgement | None:
        photos, corrupted = self.photos, self.corrupted
        fitted = FoldHeads.fit(photos, self._parts, self.folds, fitter)
        if fitted is None:
            return None
        logits, everyone = fitted.ask(photos), np.arange(len(photos))
        plain = _judged(logits, everyone[fitted.judged], len(photos))
        return Judgement(logits.score(), plain, _judged_corrupted(fitted, photos, corrupted) if corrupted else None)

    @cached_property
    def _parts(self) -> tuple[ClassStatistics, ...]:
        return collect_statistics(self.photos, None, self.folds)

    @cached_property
    def _digest(self) -> str:
        """A digest of all numbers that heads are fitted to and judged by."""
        photos, labels, digest = self.photos, self.photos.labels, hashlib.sha256()
        rows = (part for batch in photos.batches() for part in (photos.features[batch], photos.views[batch]))
        for array in (*rows, labels.species, labels.leaf, photos.weights, self.folds, *(self.corrupted or ())):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest() + repr(photos.taxonomy)


def _judged_corrupted(fitted: FoldHeads, photos: FeatureSet, corrupted: CorruptedFeatures) -> Judged:
    chosen = fitted.of(corrupted.rows)
    logits = chosen.ask(replace(photos.where(corrupted.rows), features=corrupted.features))
    return _judged(logits, corrupted.rows[chosen.judged], len(photos))


def _judged(logits: LabeledLogits, rows: np.ndarray, photos: int) -> Judged:
    """Judge the logits of the photos ``rows``, int [M], among all ``photos``; the others have weight 0."""
    right, weights = np.zeros(photos, bool), np.zeros(photos)
    right[rows], weights[rows] = logits.judged
    return Judged(right, weights)
