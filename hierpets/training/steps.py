"""The steps of a training: heads on frozen features, fine-tuning, calibration, evaluation, manifest, bundle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial

import numpy as np

from hierpets.bundle.identity import model_id
from hierpets.bundle.manifest import Manifest, Selection
from hierpets.config import TrainConfig
from hierpets.errors import ConfigError
from hierpets.hierarchy.policy import ENOUGH_OTHERS
from hierpets.model.statistics.storage import pack_statistics
from hierpets.model.writer import write_bundle
from hierpets.registry.loading import Registry
from hierpets.text import join_words
from hierpets.training.calibration import calibrate_trained
from hierpets.training.cascade.early import best_early, fit_configured, try_early
from hierpets.training.cascade.fit import fit_cascade
from hierpets.training.distributed import current_context
from hierpets.training.features.first_look import FirstLook
from hierpets.training.features.prepared import Prepared
from hierpets.training.finetuning.checkpoint import Checkpoint
from hierpets.training.finetuning.finetune import finetune_trained, reason_to_skip
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.model import fit_frozen_model, judge_by_validation
from hierpets.training.measurement import accuracies, measure_trained
from hierpets.training.outcome.manifest import make_manifest
from hierpets.training.outcome.quantization import quantize_bundle
from hierpets.training.outcome.result import TrainResult
from hierpets.training.run.folder import Run
from hierpets.training.selection.candidates import Candidate, count_candidates, iter_candidates
from hierpets.training.selection.choice import choose, describe_selection
from hierpets.training.selection.judgements import Judgements
from hierpets.training.splits import Splits
from hierpets.training.trained import Early, Trained

__all__ = ["run_steps"]

_log = logging.getLogger(__name__)


def run_steps(
    look: FirstLook,
    config: TrainConfig,
    *,
    registry: Registry,
    run: Run,
    device: str,
    checkpoint: Checkpoint | None,
) -> TrainResult:
    """Run the steps of a training in order and write its bundle."""
    splits = look.splits
    run.log("data", source=config.data, **splits.sizes)
    trained, early = _fit_frozen(splits, config, registry=registry, run=run, device=device, first=look.first)
    if _should_finetune(trained, splits, config, run=run, device=device):
        frozen = trained
        trained = finetune_trained(frozen, splits, config, run=run, device=device, checkpoint=checkpoint)
        if trained is not frozen:  # all networks must be evaluated on the same photos
            judge = partial(judge_by_validation, splits=splits, config=config, device=device, progress=run.progress)
            early = tuple(judge(one, one.network.backbone, one.network.get_heads()) for one in early)
    trained = fit_cascade(early, trained, combiner=config.combiner)
    for one in trained.early:
        run.log("early", backbone=str(one.spec.backbone.name), threshold=one.spec.threshold, share=one.spec.share)
    calibrated = calibrate_trained(trained, combiner=config.combiner, alpha=config.alpha)
    if not run.silent:
        unanswered = calibrated.policy.unanswered(calibrated.taxonomy.species)
        for warning in (unanswered, _warn_of_unlisted(trained), _warn_of_none_added(trained, config)):
            if warning:
                _log.warning("%s", warning)  # metrics of the most probable class look good all the same
    metrics = measure_trained(trained, calibrated, folds=config.folds, seed=config.seed)
    manifest, statistics = _add_statistics(make_manifest(trained, calibrated, splits, config), trained, config)
    for name, part in metrics.items():
        run.log("metrics", on=name, **accuracies(part))
    if not run.silent:
        asked_before = [early.network for early in trained.early]
        write_bundle(run.bundle, trained.network, manifest, statistics, look.seen, early=asked_before)
        model = model_id(run.bundle, manifest)
        metrics = {name: part.model_copy(update={"model": model}) for name, part in metrics.items()}
        run.write_metrics(metrics)
        done, why = quantize_bundle(run.bundle, splits.val, config, registry=registry, progress=run.progress)
        run.log("quantized", done=done, why=why)
    run.complete(path=str(run.bundle), summary=trained.summary)
    current_context().wait()  # until the main process has written the bundle
    return TrainResult(run.bundle, run.folder, trained.summary, metrics, config.registry, trained.selection)


def _warn_of_unlisted(trained: Trained) -> str | None:
    """Return a warning if unlisted breeds may be taken for listed ones, because too few breeds could be held out."""
    with_breeds = [name for name, breeds in trained.network.taxonomy.tree.items() if breeds]
    if not with_breeds or (trained.unlisted is not None and len(trained.unlisted) >= ENOUGH_OTHERS):
        return None
    return (
        f"{join_words(with_breeds)}: photos of breeds that are not listed may be named as one that is. What others "
        f"look like is learned by holding breeds out: it takes two of a species, and {ENOUGH_OTHERS} of their photos"
    )


def _warn_of_none_added(trained: Trained, config: TrainConfig) -> str | None:
    """Return a warning if ``pretrained_breeds`` is set but no breed was added."""
    if not config.pretrained_breeds or "pretrained" in trained.origins:
        return None
    return (
        "pretrained_breeds: no breed was added: it takes a backbone that names breeds which the photos lack, and "
        f"{ENOUGH_OTHERS} photos of breeds of a species that both know"
    )


def _add_statistics(manifest: Manifest, trained: Trained, config: TrainConfig) -> tuple[Manifest, list[bytes]]:
    """Return the manifest with the statistics of each network, and their files, so that the bundle can be grown.

    Without any statistics if the heads of one network were not fitted to statistics.
    """
    networks: tuple[Early | Trained, ...] = (*trained.early, trained)
    packed = [
        pack_statistics(one.statistics, shrinkage=one.head.shrinkage, prior=config.prior)
        for one in networks
        if one.statistics is not None
    ]
    if len(packed) < len(networks):
        return manifest, []
    return manifest.with_statistics([spec for _, spec in packed]), [content for content, _ in packed]


def _fit_frozen(
    splits: Splits, config: TrainConfig, *, registry: Registry, run: Run, device: str, first: Prepared | None
) -> tuple[Trained, tuple[Trained, ...]]:
    """Fit heads on frozen features for the main network and for early ones.

    The main process goes first and fills the feature cache, which the others then read.
    """
    context = current_context()
    if not context.is_main:
        context.wait()
    fit = partial(
        fit_frozen_model, splits=splits, config=config, registry=registry, device=device, progress=run.progress
    )
    if config.recipe == "auto":
        (best, *others), selection = _compare(splits, config, registry=registry, run=run, device=device, first=first)
        frozen = replace(fit(best.choice), selection=selection)
        early = _choose_early(others, frozen, fit, config, registry, run) if config.auto.early else ()
    else:
        frozen, early = fit_configured(config, fit, first)
    if context.is_main:
        context.wait()
    return frozen, early


def _choose_early(
    others: Sequence[Candidate],
    main: Trained,
    fit: Callable[..., Trained],
    config: TrainConfig,
    registry: Registry,
    run: Run,
) -> tuple[Trained, ...]:
    """Return the other backbone that saves the most time as an early network before ``main``; empty if none does."""
    attempts = []
    for attempt in try_early(others, main, fit, registry, config):
        attempts.append(attempt)
        run.log("early_candidate", **attempt.as_event())
    return tuple(attempt.early for attempt in best_early(attempts))


def _compare(
    splits: Splits, config: TrainConfig, *, registry: Registry, run: Run, device: str, first: Prepared | None
) -> tuple[list[Candidate], Selection]:
    """Compare the candidates of recipe ``auto``.

    :returns: the candidates, with the chosen one first and the others from best to worst, and a record of the choice.
    """
    groups, folds = splits.labels.groups, assign_folds(splits.labels, folds=config.folds, seed=config.seed)
    candidates, total = [], count_candidates(config, len(folds))
    run.log("comparing", candidates=total)
    with closing(Judgements(run.judgements)) if not run.silent else nullcontext() as judgements:
        compared = iter_candidates(
            splits,
            config,
            folds=folds,
            registry=registry,
            device=device,
            progress=run.progress,
            first=first,
            judgements=judgements,
        )
        for number, candidate in enumerate(compared, start=1):
            if candidate is not None:
                candidates.append(candidate)
                run.log("candidate", number=number, total=total, **candidate.as_event())
    if not candidates:
        raise ConfigError("too few photos to cross-validate; add photos, at least two per class, or use recipe heads")
    choice = choose(candidates, np.ones(len(folds), bool), groups)
    selection = describe_selection(candidates, choice, folds, groups)
    run.log("chosen", **choice.candidate.as_event(), selection=selection.model_dump(mode="json"), said=str(selection))
    best_first = sorted(candidates, key=lambda one: one.criterion.sum(), reverse=True)
    return [choice.candidate, *(one for one in best_first if one is not choice.candidate)], selection


def _should_finetune(frozen: Trained, splits: Splits, config: TrainConfig, *, run: Run, device: str) -> bool:
    """Decide whether to fine-tune. The main process decides for all, since each would measure another duration."""
    if config.recipe != "auto":
        return config.recipe == "finetune"
    reason = reason_to_skip(frozen, splits, config, device=device)
    reason = current_context().gather(reason)[0]
    if reason:
        run.log("skipped", why=reason)
    return reason is None
