"""From settings to a bundle: frozen features and heads, fine-tuning, calibration, measurement, manifest."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hierpets.bundle.manifest import Manifest, Selection, read_manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.cluster import connected
from hierpets.config import BUNDLE_FOLDER, CONFIG_FILE, TrainConfig, change_config, read_config
from hierpets.data.content import content_key
from hierpets.data.labeled.tables import is_oxford
from hierpets.errors import ConfigError, HierpetsError
from hierpets.evaluation.metrics.reading import read_run_metrics
from hierpets.evaluation.metrics.schema import METRICS_FILE, Metrics
from hierpets.inference.engines.base import choose_device
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.model.statistics.storage import pack_statistics
from hierpets.model.writer import write_bundle
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, bundled_registry, find_registry, load_registry
from hierpets.registry.plugin import Plugin
from hierpets.text import percent
from hierpets.training.calibration import calibrate_trained
from hierpets.training.cascade.choice import best_early, fit_configured, try_early
from hierpets.training.cascade.fit import fit_cascade
from hierpets.training.distributed import current_context, join_distributed
from hierpets.training.features.digests import PhotoDigests
from hierpets.training.features.first_look import look_at_photos
from hierpets.training.finetuning.checkpoint import (
    Checkpoint,
    check_same,
    describe_run,
    describe_settings,
    read_checkpoint,
)
from hierpets.training.finetuning.finetune import finetune_trained, reason_to_skip
from hierpets.training.finetuning.learner import forward_dtype, plan_batches
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.model import fit_frozen_model
from hierpets.training.manifest import make_manifest
from hierpets.training.measurement import accuracies, measure_trained
from hierpets.training.quantization import quantize_bundle
from hierpets.training.run.folder import FEATURES, LAST, Listener, Run, is_complete, open_run
from hierpets.training.run.trackers import PluginTrackers, broadcast, find_tracker
from hierpets.training.selection.candidates import Candidate, iter_candidates
from hierpets.training.selection.choice import choose, describe_selection
from hierpets.training.splits import Splits, read_splits
from hierpets.training.trained import Early, Trained
from hierpets.validation.arguments import checked

__all__ = ["TrainResult", "train"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """The result of a training: a ``bundle`` in the folder of the ``run``, and its metrics.

    ``metrics`` holds the metrics of ``docs/metrics.md`` by how photos were held out (``"cross_validation"``,
    ``"validation"``); ``summary`` describes the model in one line, ``selection`` how recipe ``auto`` chose it.
    """

    bundle: Path
    run: Path
    summary: str
    metrics: dict[str, Metrics] = field(repr=False)
    registry: Path | None = field(default=None, repr=False)
    selection: Selection | None = field(default=None, repr=False)

    def predictor(self, **options: Any) -> Predictor:
        """The bundle, ready to predict; ``options`` are those of :func:`hierpets.load`."""
        return load(self.bundle, **{"registry": self.registry, **options})

    def _repr_html_(self) -> str:
        """What was trained and how good it is, for notebooks."""
        rows = (
            f"<li>{escape(name.replace('_', ' '))}: "
            + ", ".join(f"{level} {percent(score)}" for level, score in accuracies(part).items() if score is not None)
            + "</li>"
            for name, part in self.metrics.items()
        )
        chosen = f"<p>{escape(str(self.selection))}</p>" if self.selection else ""
        return f"<b>{escape(self.summary)}</b>{chosen}<ul>{''.join(rows)}</ul><code>{escape(str(self.bundle))}</code>"


@checked
def train(
    data: str | os.PathLike[str] | None = None,
    config: TrainConfig | None = None,
    *,
    progress: Progress = no_progress,
    listener: Listener | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> TrainResult:
    """Train a bundle on labeled photos.

    ``data`` is a folder ``SPECIES/BREED/photo.jpg``, a CSV file, ``"demo"`` (synthetic images), or what a
    reader knows. ``settings`` are fields of :class:`~hierpets.config.TrainConfig` and override those of ``config``; a
    group is given as a dictionary or with a dot: ``finetune={"epochs": 4}``, ``**{"finetune.epochs": 4}``. ``listener``
    gets every event of the log.

    ``resume`` continues the run in ``out`` from its last checkpoint, with the run's own settings if no ``config`` is
    given; of a run that is complete it changes nothing. ``overwrite`` replaces the run, with all files of the old
    model. Photos that cannot be read are skipped with a warning, or refused with ``strict``. Settings, plugins and
    photos are checked before anything slow begins. Under ``torchrun`` the processes share the fine-tuning, and the
    first of them writes.

    :raises ConfigError: a setting that is unknown, out of range or in conflict with others; an existing run; a run
        that cannot be resumed with these settings.
    :raises DataError: no photos found, or a class without training photos.
    :raises RegistryError, PluginError: an invalid registry, or a plugin that fails.
    :raises DeviceError: a device that is not available.
    """
    if resume and overwrite:
        raise ConfigError("use either --resume or --overwrite, not both")
    given = settings | ({"data": os.fspath(data)} if data is not None else {})
    config = _configured(config, given, resume=resume)
    if resume and "data" not in config.model_fields_set and not (config.out / CONFIG_FILE).is_file():
        raise ConfigError(f"{config.out}: nothing to resume: no {CONFIG_FILE} in it; say --data to begin a run there")
    config = config.absolute()
    if resume and is_complete(config.out):
        return _complete(config)
    _check_place(config)
    config = _with_registry(config)
    device, registry = choose_device(config.device), load_registry(config.registry)
    splits = read_splits(config, registry)
    for choice in (*config.candidate_backbones, *config.early):
        registry.get("backbone", choice.name).resolve(**choice.options)
    trackers = [registry.get("tracker", name) for name in config.trackers]
    with join_distributed(device):
        _check_finetuning(splits, config, device)
        with (
            open_run(config.out, resume=resume, overwrite=overwrite, progress=progress) as run,
            _tracked(run, trackers, listener),
            _connected(config.cluster),
        ):
            checkpoint = _find_checkpoint(run, config) if resume else None
            with _beginning(run, config, overwrite=overwrite):
                splits, found = look_at_photos(splits, config, registry=registry, device=device, progress=run.progress)
                if checkpoint is not None:
                    check_same(checkpoint.settings, describe_run(config, splits), run.checkpoint)
            if found.unreadable:
                run.log("skipped_photos", photos=list(found.unreadable.values()))
            if found.individuals:
                animals = len({*found.individuals.values()})
                run.log("individuals", photos=len(found.individuals), individuals=animals)
            return _train(splits, config, registry=registry, run=run, device=device, checkpoint=checkpoint)


def _complete(config: TrainConfig) -> TrainResult:
    """What a run that is complete left: there is nothing to resume, even where its photos are gone.

    :raises ConfigError: the run has other settings.
    """
    run = config.out
    _check_settings(run / CONFIG_FILE, config)
    manifest, metrics = read_manifest(run / BUNDLE_FOLDER), read_run_metrics(run / METRICS_FILE)
    _log.warning("%s: the run is complete, nothing to resume; use --overwrite to train it again", run)
    summary = manifest.training["summary"]
    return TrainResult(run / BUNDLE_FOLDER, run, summary, metrics, config.registry, manifest.selection)


def _with_registry(config: TrainConfig) -> TrainConfig:
    """The settings with the registry that is used: the environment may name it, and will not at another time."""
    found = find_registry(config.registry)
    return config if found == bundled_registry() else config.model_copy(update={"registry": found.resolve()})


def _check_place(config: TrainConfig) -> None:
    """:raises ConfigError: the run would lie among the photos, where the next training took it for a species."""
    data = Path(config.data)
    if data.is_dir() and not is_oxford(data) and config.out.resolve().is_relative_to(data.resolve()):
        raise ConfigError(
            f"--out {config.out}: lies in the folder of photos, {data}, where it would be read as more of them; "
            "choose a folder beside it"
        )


@contextmanager
def _beginning(run: Run, config: TrainConfig, *, overwrite: bool) -> Iterator[None]:
    """The first look at the photos, which takes minutes, and may refuse them. From its end on the folder belongs to the
    run; from its start on where there is no other run, so that it can be resumed however it stops, and on a cluster,
    whose features are kept there. A new run that is refused leaves nothing, but for those features.
    """
    settings = run.folder / CONFIG_FILE
    is_new = not run.silent and not overwrite and not settings.is_file()
    at_once = is_new or config.cluster is not None
    if at_once:
        _begin(run, config, overwrite=overwrite)
    try:
        yield
    except HierpetsError:
        if is_new and config.cluster is None:
            settings.unlink()
        raise
    if not at_once:
        _begin(run, config, overwrite=overwrite)


def _begin(run: Run, config: TrainConfig, *, overwrite: bool) -> None:
    if overwrite:
        run.clear()
    run.begin(config)


def _train(
    splits: Splits,
    config: TrainConfig,
    *,
    registry: Registry,
    run: Run,
    device: str,
    checkpoint: Checkpoint | None,
) -> TrainResult:
    """The steps in order, each a function of what those before it gave."""
    run.log("data", source=config.data, **splits.sizes)
    trained, early = _fit_frozen(splits, config, registry=registry, run=run, device=device)
    if _goes_on(trained, splits, config, run=run, device=device):
        trained = finetune_trained(trained, splits, config, run=run, device=device, checkpoint=checkpoint)
    trained = fit_cascade(early, trained, combiner=config.combiner)
    for one in trained.early:
        run.log("early", backbone=str(one.spec.backbone.name), threshold=one.spec.threshold, share=one.spec.share)
    calibrated = calibrate_trained(trained, combiner=config.combiner, alpha=config.alpha)
    if not run.silent and (why := calibrated.policy.unanswered(calibrated.taxonomy.species)):
        _log.warning("%s", why)  # the metrics do not tell: those of the most probable class look well
    metrics = measure_trained(trained, calibrated, folds=config.folds, seed=config.seed)
    manifest, statistics = _add_statistics(make_manifest(trained, calibrated, splits, config), trained, config)
    for name, part in metrics.items():
        run.log("metrics", on=name, **accuracies(part))
    run.write_metrics(metrics)
    if not run.silent:
        asked_before = [early.network for early in trained.early]
        seen = _seen(splits, config)
        write_bundle(run.bundle, trained.network, manifest, statistics, seen, early=asked_before)
        done, why = quantize_bundle(run.bundle, splits.val, config, registry=registry, progress=run.progress)
        run.log("quantized", done=done, why=why)
    run.drop_features()
    run.log(LAST, path=str(run.bundle), summary=trained.summary)
    current_context().wait()  # nobody leaves before the bundle is there
    return TrainResult(run.bundle, run.folder, trained.summary, metrics, config.registry, trained.selection)


def _seen(splits: Splits, config: TrainConfig) -> SeenPhotos:
    """The training photos. What was held out is not among them."""
    paths = splits.train.paths
    if not config.cluster:
        return SeenPhotos.of(map(content_key, paths))
    with closing(PhotoDigests(config.out / FEATURES)) as digests:
        return SeenPhotos.of(digests.get(paths))


def _add_statistics(manifest: Manifest, trained: Trained, config: TrainConfig) -> tuple[Manifest, list[bytes]]:
    """What the bundle keeps of each network to be grown; nothing where the heads of one cannot be fitted again."""
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
    splits: Splits, config: TrainConfig, *, registry: Registry, run: Run, device: str
) -> tuple[Trained, tuple[Trained, ...]]:
    """Heads on frozen features, of the main network and of early ones: the main process fills the cache of features,
    then the others read it.
    """
    context = current_context()
    if not context.is_main:
        context.wait()
    fit = partial(
        fit_frozen_model, splits=splits, config=config, registry=registry, device=device, progress=run.progress
    )
    if config.recipe == "auto":
        (best, *others), selection = _compare(splits, config, registry=registry, run=run, device=device)
        frozen = replace(fit(best.choice), selection=selection)
        early = _choose_early(others, frozen, fit, config, registry, run) if config.auto.early else ()
    else:
        frozen, early = fit_configured(config, fit)
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
    """The other backbone that saves the most when it is asked before the best one, if any does."""
    compared = []
    for attempt in try_early(others, main, fit, registry, config):
        compared.append(attempt)
        run.log("early_candidate", **attempt.as_event())
    return tuple(attempt.early for attempt in best_early(compared))


def _compare(
    splits: Splits, config: TrainConfig, *, registry: Registry, run: Run, device: str
) -> tuple[list[Candidate], Selection]:
    """The candidates, the chosen one first and then the best, and what is to be said of the choice."""
    candidates = []
    groups, folds = splits.labels.groups, assign_folds(splits.labels, folds=config.folds, seed=config.seed)
    compared = iter_candidates(splits, config, folds=folds, registry=registry, device=device, progress=run.progress)
    for candidate in compared:
        candidates.append(candidate)
        run.log("candidate", **candidate.as_event())
    if not candidates:
        raise ConfigError("too few photos to cross-validate; add photos, at least two per class, or use recipe heads")
    choice = choose(candidates, np.ones(len(folds), bool), groups)
    selection = describe_selection(candidates, choice, folds, groups)
    run.log("chosen", **choice.candidate.as_event(), selection=selection.model_dump(mode="json"), said=str(selection))
    best_first = sorted(candidates, key=lambda one: one.criterion.sum(), reverse=True)
    return [choice.candidate, *(one for one in best_first if one is not choice.candidate)], selection


def _goes_on(frozen: Trained, splits: Splits, config: TrainConfig, *, run: Run, device: str) -> bool:
    """Whether to fine-tune: one process decides for all, since each would measure another time."""
    if config.recipe != "auto":
        return config.recipe == "finetune"
    reason = reason_to_skip(frozen, splits, config, device=device)
    reason = current_context().gather(reason)[0]
    if reason:
        run.log("skipped", why=reason)
    return reason is None


def _configured(config: TrainConfig | None, settings: dict[str, Any], *, resume: bool) -> TrainConfig:
    """The settings of this call; those of the run that is resumed where no ``config`` is given."""
    asked = change_config(config, settings)
    written = asked.out / CONFIG_FILE
    if resume and config is None and written.is_file():
        return change_config(read_config(written, {}), settings)
    return asked


def _check_finetuning(splits: Splits, config: TrainConfig, device: str) -> None:
    """:raises ConfigError: settings of fine-tuning that cannot be followed here."""
    if config.recipe != "heads":
        plan_batches(splits.weights, config, current_context())
        forward_dtype(device, config.finetune.precision)


def _find_checkpoint(run: Run, config: TrainConfig) -> Checkpoint | None:
    """The checkpoint to continue from, if the run came that far.

    :raises ConfigError: the run has other settings.
    """
    checkpoint, written = read_checkpoint(run.checkpoint), run.folder / CONFIG_FILE
    if checkpoint is not None:
        settings = describe_settings(config)
        check_same({key: checkpoint.settings.get(key) for key in settings}, settings, run.checkpoint)
    elif written.is_file():
        _check_settings(written, config)
    return checkpoint


def _check_settings(written: Path, config: TrainConfig) -> None:
    """:raises ConfigError: the settings of a run are others."""
    check_same(describe_settings(read_config(written, {})), describe_settings(config), written)


@contextmanager
def _connected(cluster: str | None) -> Iterator[None]:
    """Ray, for as long as the training lasts; only the main process needs it."""
    if cluster is None or not current_context().is_main:
        yield
        return
    with connected(cluster):
        yield


@contextmanager
def _tracked(run: Run, plugins: Sequence[Plugin], listener: Listener | None) -> Iterator[None]:
    """The run is heard by the listener, TensorBoard where it is installed, and trackers: these may write in its folder,
    which is there and this training's own.
    """
    with ExitStack() as stack:
        heard = stack.enter_context(PluginTrackers([] if run.silent else plugins, run.folder))
        tensorboard = find_tracker(run.folder)
        if tensorboard is not None:
            stack.enter_context(closing(tensorboard))
        run.listener = broadcast(listener, tensorboard, heard)
        yield
