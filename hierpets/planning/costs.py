"""Estimate how long each recipe of ``hierpets train`` takes on this machine, from the time that a few photos take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.bundle.manifest import BackboneSpec
from hierpets.config import BackboneChoice, HeadSpec, TrainConfig
from hierpets.data.listing import evenly
from hierpets.model.backbone import build_backbone
from hierpets.planning.result import RecipeCost, RecipeName
from hierpets.plugin import Backbone
from hierpets.registry.loading import Registry
from hierpets.training.features.extractor import VIEWS, FeatureExtractor
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.finetuning.time_estimate import finetune_minutes, too_long
from hierpets.training.frozen.lda import fit_lda
from hierpets.training.frozen.linear_probe import fit_heads
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.selection.candidates import head_specs
from hierpets.training.selection.corrupted import PHOTOS as CORRUPTED
from hierpets.workers import cores

__all__ = ["HeadSeconds", "TimedBackbone", "recipe_costs", "time_backbone", "time_heads"]

PROBE = 12  # photos whose features are timed
FITTED = 1000  # photos that a logistic regression is timed on; for fewer, the time hardly depends on their number
WARM_UP = 3  # photos of each class, for a first fit that is not timed
OVERHEAD = 20.0  # seconds that every run takes besides: start, conversion, calibration, metrics, writing


class TimedBackbone(NamedTuple):
    """A backbone that is ready to run, and the ``seconds`` that it takes per photo, including decoding."""

    choice: BackboneChoice
    backbone: Backbone
    spec: BackboneSpec
    extractor: FeatureExtractor
    seconds: float


def time_backbone(
    choice: BackboneChoice, paths: list[str], registry: Registry, *, device: str, seed: int
) -> TimedBackbone:
    """Build a backbone as training with this seed does, and time it on some of the photos, without the cache."""
    backbone, spec = build_backbone(registry, choice.name, choice.options, choice.weights_file(), seed=seed)
    extractor = FeatureExtractor(backbone, device)
    probed = evenly(paths, PROBE)
    extractor.compute(probed[:1], on_error=_skip)  # a warm-up
    seconds = _timed(lambda: extractor.compute(probed, on_error=_skip))
    return TimedBackbone(choice, backbone, spec, extractor, seconds / len(probed))


class HeadSeconds(NamedTuple):
    """Seconds to fit LDA heads, or a logistic regression, to all photos of a training once."""

    lda: float
    logistic: float

    def of(self, spec: HeadSpec) -> float:
        """Return the seconds of one kind of heads; a blend takes hardly longer than its logistic regression."""
        return self.lda if spec.kind == "lda" else self.logistic

    def to_fit(self, spec: HeadSpec, *, folds: int) -> float:
        """Return the seconds of all fits to the features of one network: LDA for every fold and for held-out breeds,
        which the OOD scorer needs whatever the heads are, and heads of another kind for all photos and every fold.
        """
        others = 0.0 if spec.kind == "lda" else self.of(spec) * (1 + folds)
        return self.lda * (1 + 2 * folds) * 2 + others


def time_heads(photos: FeatureSet, *, of: int) -> HeadSeconds:
    """Time both kinds of heads and scale to the ``of`` photos of a training; the logistic regression is fitted to some
    photos only, because its time grows in proportion.
    """
    leaf = photos.labels.leaf
    few_each = np.concatenate([np.flatnonzero(leaf == one)[:WARM_UP] for one in np.unique(leaf)])
    fit_heads(
        photos.where(np.isin(np.arange(len(photos)), few_each)), HeadSpec(kind="logistic")
    )  # imports what it needs
    lda = _timed(lambda: fit_lda(collect_statistics(photos, None)[0], photos.taxonomy.leaves, shrinkage=0.4))
    few = np.arange(len(photos)) % max(1, len(photos) // FITTED) == 0
    whole = np.unique(leaf[few]).size == len(photos.taxonomy.leaves)
    chosen = photos.where(few) if whole else photos
    logistic = _timed(lambda: fit_heads(chosen, HeadSpec(kind="logistic")))
    return HeadSeconds(lda * of / len(photos), logistic * of / len(chosen))


def recipe_costs(
    config: TrainConfig,
    own: TimedBackbone,
    early: Sequence[TimedBackbone],
    compared: Sequence[TimedBackbone],
    heads: HeadSeconds,
    *,
    photos: int,
    device: str,
    price: float | None,
) -> tuple[RecipeCost, ...]:
    """Estimate each recipe under these settings for a number of photos; ``price`` is that of an hour of this machine.

    Recipe ``auto`` compares the backbones ``compared``; the others use ``own`` as the main one, after the ``early``
    ones.
    """
    networks = (own, *early)
    frozen = photos * len(VIEWS[config.view]) * sum(one.seconds for one in networks)
    frozen += len(networks) * heads.to_fit(config.head, folds=config.folds)
    tuning = finetune_minutes(own.backbone, photos=photos, epochs=config.finetune.epochs, device=device)
    skipped = too_long(tuning, config.auto.finetune_minutes)
    views = {view for name in config.auto.views for view in VIEWS[name]}
    seen = photos * len(views) + min(photos, CORRUPTED) * config.auto.stress
    comparing = seen * sum(other.seconds for other in compared)
    comparing += len(compared) * _heads_to_compare(config, heads, photos)
    comparing += heads.to_fit(HeadSpec(), folds=config.folds)  # of those that are chosen; usually an LDA
    seconds: dict[RecipeName, float] = {
        "heads": OVERHEAD + frozen,
        "auto": OVERHEAD + comparing + (0.0 if skipped else 60 * tuning),
        "finetune": OVERHEAD + frozen + 60 * tuning,
    }
    return tuple(
        RecipeCost(
            recipe=recipe,
            minutes=taken / 60,
            core_hours=taken * cores() / 3600,
            cost=None if price is None else price * taken / 3600,
            finetunes=recipe == "finetune" or (recipe == "auto" and not skipped),
            skipped=skipped if recipe == "auto" else None,
        )
        for recipe, taken in sorted(seconds.items(), key=lambda item: item[1])
    )


def _heads_to_compare(config: TrainConfig, heads: HeadSeconds, photos: int) -> float:
    """Return the seconds to cross-validate the heads of recipe ``auto`` on all views of one backbone."""
    each = sum(heads.of(spec) for spec in head_specs(config.auto, photos))
    return each * config.folds * len(config.auto.views)


def _skip(_number: int, _reason: str) -> None:
    """Ignore a photo that cannot be read: another step reports it."""


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
