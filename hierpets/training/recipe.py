"""Train a bundle from settings: check them, open a run folder, and run the steps of the training."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from hierpets.bundle.manifest import read_manifest
from hierpets.cluster import connected
from hierpets.config import BUNDLE_FOLDER, CONFIG_FILE, TrainConfig, change_config, read_config
from hierpets.data.labeled.index import check_apart
from hierpets.errors import ConfigError, HierpetsError
from hierpets.evaluation.metrics.reading import read_run_metrics
from hierpets.evaluation.metrics.schema import METRICS_FILE
from hierpets.inference.engines.base import choose_device
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import bundled_registry, find_registry, load_registry
from hierpets.registry.plugin import Plugin
from hierpets.training.distributed import current_context, join_distributed
from hierpets.training.features.first_look import look_at_photos
from hierpets.training.finetuning.checkpoint import (
    Checkpoint,
    check_same,
    describe_run,
    describe_settings,
    read_checkpoint,
)
from hierpets.training.finetuning.learner import forward_dtype, plan_batches
from hierpets.training.outcome.result import TrainResult
from hierpets.training.run.folder import Listener, Run, is_complete, open_run
from hierpets.training.run.trackers import PluginTrackers, broadcast, find_tracker
from hierpets.training.splits import Splits, read_splits
from hierpets.training.steps import run_steps
from hierpets.validation.arguments import checked

__all__ = ["train"]

_log = logging.getLogger(__name__)


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

    ``data`` is a folder ``SPECIES/BREED/photo.jpg``, a CSV file, ``"demo"`` (synthetic images), or any source that a
    reader plugin supports. ``settings`` are fields of :class:`~hierpets.config.TrainConfig` and override those of
    ``config``; settings in a group are given as a dictionary or with a dot: ``finetune={"epochs": 4}``,
    ``**{"finetune.epochs": 4}``. ``listener`` receives every event of the log.

    ``resume`` continues the run in ``out`` where it stopped: with the candidates that recipe ``auto`` has compared, the
    last checkpoint of fine-tuning, and the run's own settings if no ``config`` is given. A complete run stays as it is,
    and other ``data`` are refused. A checkpoint identifies its photos by name and label: it notices photos that were
    added, removed or relabeled, and refuses to continue, but not files that were replaced under the same name.
    ``overwrite`` replaces the run and all files of its old model; it is refused if the bundle or an evaluation holds
    other files.

    Photos that cannot be read are skipped with a warning, or refused with ``strict``. Settings, plugins and photos are
    checked before anything slow begins. Under ``torchrun`` the processes share the fine-tuning, and the first of them
    writes the files.

    :raises ConfigError: a setting is unknown, out of range or in conflict with others; the run exists already, or
        cannot be resumed with these settings.
    :raises DataError: no photos found, or a class without training photos.
    :raises RegistryError, PluginError: an invalid registry, or a plugin that fails.
    :raises DeviceError: a device that is not available, or a GPU that is out of memory.
    """
    if resume and overwrite:
        raise ConfigError("expected either resume or overwrite, got both")
    given = settings | ({"data": os.fspath(data)} if data is not None else {})
    config = _configured(config, given, resume=resume)
    is_data_given = "data" in config.model_fields_set
    if resume and not is_data_given and not (config.out / CONFIG_FILE).is_file():
        raise ConfigError(f"{config.out}: nothing to resume: no {CONFIG_FILE} in it; give data to begin a run there")
    config = config.absolute()
    if resume and is_complete(config.out):
        return _read_complete(config, data=config.data if is_data_given else None)
    check_apart(config.out, config.data)
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
                look = look_at_photos(splits, config, registry=registry, device=device, progress=run.progress)
                if checkpoint is not None:
                    check_same(checkpoint.settings, describe_run(config, look.splits), run.checkpoint)
            if look.found.unreadable:
                run.log("skipped_photos", photos=list(look.found.unreadable.values()))
            if individuals := look.found.individuals:
                run.log("individuals", photos=len(individuals), individuals=len({*individuals.values()}))
            return run_steps(look, config, registry=registry, run=run, device=device, checkpoint=checkpoint)


def _read_complete(config: TrainConfig, *, data: str | None) -> TrainResult:
    """Read the result of a complete run, in which there is nothing to resume; its photos need no longer exist.

    ``data`` is the source that the caller asked for, if any.

    :raises ConfigError: the run has other settings, or was trained on other data.
    """
    run = config.out
    _check_settings(run / CONFIG_FILE, config)
    trained_on = read_config(run / CONFIG_FILE, {}).data
    if data is not None and Path(data).resolve() != Path(trained_on).resolve():  # works for addresses, too
        raise ConfigError(
            f"{run}: is complete, trained on {trained_on}, not {data}; give overwrite to train it on {data}, or "
            "another out"
        )
    manifest, metrics = read_manifest(run / BUNDLE_FOLDER), read_run_metrics(run / METRICS_FILE)
    _log.warning("%s: the run is complete, nothing to resume; give overwrite to train it again", run)
    summary = manifest.training["summary"]
    return TrainResult(run / BUNDLE_FOLDER, run, summary, metrics, config.registry, manifest.selection)


def _with_registry(config: TrainConfig) -> TrainConfig:
    """Return the settings with the path of the registry in use, which may come from an environment variable.

    A later command, such as one that resumes the run, may not have that variable.
    """
    found = find_registry(config.registry)
    return config if found == bundled_registry() else config.model_copy(update={"registry": found.resolve()})


@contextmanager
def _beginning(run: Run, config: TrainConfig, *, overwrite: bool) -> Iterator[None]:
    """Write the run's settings, and with ``overwrite`` clear its folder, around the first look at the photos.

    The first look takes minutes and may refuse the photos, so that an existing run is touched only after it. A new run
    begins before it, so that it can be resumed wherever it stops; so does a run on a cluster, which keeps its features
    in the folder. If the photos are refused, a new run leaves nothing behind, except for the features of a cluster.
    """
    settings = run.folder / CONFIG_FILE
    is_new = not run.silent and not overwrite and not settings.is_file()
    begins_first = is_new or config.cluster is not None
    if begins_first:
        _begin(run, config, overwrite=overwrite)
    try:
        yield
    except HierpetsError:
        if is_new and config.cluster is None:
            settings.unlink()
        raise
    if not begins_first:
        _begin(run, config, overwrite=overwrite)


def _begin(run: Run, config: TrainConfig, *, overwrite: bool) -> None:
    if overwrite:
        run.clear()
    run.begin(config)


def _configured(config: TrainConfig | None, settings: dict[str, Any], *, resume: bool) -> TrainConfig:
    """Return the settings of this call, based on those of the run to resume if no ``config`` is given."""
    asked = change_config(config, settings)
    written = asked.out / CONFIG_FILE
    if resume and config is None and written.is_file():
        return change_config(read_config(written, {}), settings)
    return asked


def _check_finetuning(splits: Splits, config: TrainConfig, device: str) -> None:
    """Check the settings of fine-tuning against the photos, the processes and the device.

    :raises ConfigError: they cannot be followed here.
    """
    if config.recipe != "heads":
        plan_batches(splits.weights, config, current_context())
        forward_dtype(device, config.finetune.precision)


def _find_checkpoint(run: Run, config: TrainConfig) -> Checkpoint | None:
    """Return the checkpoint to continue from; None if the run did not get that far.

    If there is no run at all, log a warning that a new one begins: the folder may be misspelled.

    :raises ConfigError: the run has other settings.
    """
    checkpoint, written = read_checkpoint(run.checkpoint), run.folder / CONFIG_FILE
    if checkpoint is not None:
        settings = describe_settings(config)
        check_same({key: checkpoint.settings.get(key) for key in settings}, settings, run.checkpoint)
    elif written.is_file():
        _check_settings(written, config)
    elif not run.silent:
        _log.warning("%s: nothing to resume: no %s in it; a new run begins there", run.folder, CONFIG_FILE)
    return checkpoint


def _check_settings(written: Path, config: TrainConfig) -> None:
    """Check that a run, whose settings are in the file ``written``, has the settings ``config``.

    :raises ConfigError: they differ.
    """
    check_same(describe_settings(read_config(written, {})), describe_settings(config), written)


@contextmanager
def _connected(cluster: str | None) -> Iterator[None]:
    """Connect to Ray inside the context, in the main process alone."""
    if cluster is None or not current_context().is_main:
        yield
        return
    with connected(cluster):
        yield


@contextmanager
def _tracked(run: Run, plugins: Sequence[Plugin], listener: Listener | None) -> Iterator[None]:
    """Send the run's events to the listener, to TensorBoard if it is installed, and to tracker plugins.

    Trackers may write into the run folder, so call this only when the folder exists and belongs to this training.
    """
    with ExitStack() as stack:
        trackers = stack.enter_context(PluginTrackers([] if run.silent else plugins, run.folder))
        tensorboard = find_tracker(run.folder)
        if tensorboard is not None:
            stack.enter_context(closing(tensorboard))
        run.listener = broadcast(listener, tensorboard, trackers)
        yield
