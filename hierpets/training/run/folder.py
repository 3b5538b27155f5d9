"""The run folder, with ``config.yaml``, ``log.jsonl``, ``metrics.json`` and ``bundle/``, and its lock."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from hierpets.bundle.layout import BUNDLE, MANIFEST
from hierpets.config import BUNDLE_FOLDER, CONFIG_FILE, TrainConfig
from hierpets.errors import ConfigError, reason_of
from hierpets.evaluation.metrics.compute import metrics_json
from hierpets.evaluation.metrics.schema import METRICS_FILE
from hierpets.evaluation.report.writing import EVALUATION
from hierpets.files import check_folder, lock, open_folder, try_to_write, write_file
from hierpets.progress import Progress, no_progress
from hierpets.training.distributed import current_context

__all__ = [
    "BATCH_FILE",
    "CURVES_FILE",
    "FEATURES",
    "Event",
    "Listener",
    "Run",
    "is_complete",
    "open_run",
]

LOG_FILE, CHECKPOINT_FILE, JUDGEMENTS_FILE = "log.jsonl", "checkpoint.pt", "judgements.sqlite"
CURVES_FILE, BATCH_FILE = "learning_curves.png", "first_batch.png"
LAST = "bundle"  # the event that ends a run
FEATURES = "features"  # folder of the features that a cluster computed, until the run is complete
# Files that only a training writes.
RUN = (CONFIG_FILE, LOG_FILE, METRICS_FILE, FEATURES, BUNDLE_FOLDER, JUDGEMENTS_FILE, CHECKPOINT_FILE)
# Files and folders about a model, known by their own names, or by the name of a file in them (an evaluation, an
# export). An audit is about photos, so it stays.
ABOUT = ("measured.json", "tensorboard", CURVES_FILE, BATCH_FILE)
MARKS = (METRICS_FILE, MANIFEST)

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Run:
    """The folder of one training run, and its log.

    Every event becomes a line of ``log.jsonl`` and goes to the listener; progress is passed on, but not logged. A
    ``silent`` run, for every process but the main one, neither writes nor reports.
    """

    def __init__(self, folder: Path, *, progress: Progress = no_progress, silent: bool = False):
        self.folder, self.silent = folder, silent
        self.bundle = folder / BUNDLE_FOLDER
        self.checkpoint, self.judgements = folder / CHECKPOINT_FILE, folder / JUDGEMENTS_FILE
        self.listener: Listener = lambda event: None
        self._progress = progress
        self._started = time.monotonic()

    def begin(self, config: TrainConfig) -> None:
        """Write the settings; from then on the folder belongs to this run."""
        if not self.silent:
            _cut_off(self.folder / LOG_FILE)
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
            write_file(self.folder / CONFIG_FILE, text)

    def clear(self) -> None:
        """Delete an older run and everything about its model, so that no file describes a model that is gone."""
        if self.silent or not _holds_run(self.folder):
            return
        for path in _results(self.folder):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def log(self, event: str, **fields: Any) -> None:
        """Log an event and pass it to the listener."""
        if self.silent:
            return
        line = {"event": event, "seconds": round(time.monotonic() - self._started, 3), **fields}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG_FILE).open("a", encoding="utf-8", newline="\n") as log:
            log.write(json.dumps(line) + "\n")
        self.listener(line)

    def complete(self, **fields: Any) -> None:
        """Log the last event, then delete what is only needed to resume a run.

        These are the features that a cluster computed, the judgements of candidates, and the checkpoint.
        """
        self.log(LAST, **fields)
        if not self.silent:
            shutil.rmtree(self.folder / FEATURES, ignore_errors=True)
            for file in (self.judgements, self.checkpoint):
                file.unlink(missing_ok=True)

    def progress(self, task: str, done: int, total: int | None, /) -> None:
        """Pass progress on, without logging it."""
        if not self.silent:
            self._progress(task, done, total)

    def save_artifact(self, name: str, draw: Callable[[], bytes]) -> None:
        """Write a file of the run; ``draw`` is called only if it is written."""
        if not self.silent:
            write_file(self.folder / name, draw())

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write ``metrics.json``: metrics by how the photos were held out."""
        if not self.silent:
            write_file(self.folder / METRICS_FILE, metrics_json(metrics))


@contextmanager
def open_run(
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Iterator[Run]:
    """Open and lock ``folder`` for a run, without changing anything in it yet.

    Of several processes of one training, only the main one opens the folder; the others get a silent run.

    :raises ConfigError: the folder holds a run and neither ``resume`` nor ``overwrite`` is given; another process is
        training in it; it cannot be written; a bundle or an evaluation to ``overwrite`` holds files of something else.
    """
    if not current_context().is_main:
        yield Run(folder, silent=True)
        return
    with _locked(folder):
        if not (resume or overwrite) and _holds_run(folder):
            raise ConfigError(
                f"{folder}: already holds a run; give overwrite to replace it, resume to continue it, or another out"
            )
        if overwrite and _holds_run(folder):
            _check_results(folder)
        yield Run(folder, progress=progress)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create ``folder`` if needed, and keep other processes from training in it.

    :raises ConfigError: another process is training in it, or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try_to_write(folder / CONFIG_FILE)
            handle = stack.enter_context(open_folder(folder))
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be used as a run folder: {reason_of(error)}") from error
        if not lock(handle):
            raise ConfigError(f"{folder}: another process is training in it; wait until it ends, or give another out")
        yield


def is_complete(folder: Path) -> bool:
    """Whether a run has ended, and its results are still there."""
    if not all((folder / name).is_file() for name in (CONFIG_FILE, METRICS_FILE, f"{BUNDLE_FOLDER}/{MANIFEST}")):
        return False
    try:
        event: Event = json.loads((folder / LOG_FILE).read_bytes().splitlines()[-1])
    except (FileNotFoundError, IndexError, ValueError):
        return False
    return event["event"] == LAST


def _cut_off(log: Path) -> None:
    """Remove an incomplete last line, such as a full disk leaves, so that the next event starts a new line."""
    if log.is_file():
        with log.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def _holds_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in RUN)


def _check_results(folder: Path) -> None:
    """Check that :meth:`Run.clear` deletes no files of the user.

    :raises ConfigError: a folder that would be deleted holds other files than those of a bundle or an evaluation.
    """
    for path in _results(folder):
        if path.name == BUNDLE_FOLDER or (path / MANIFEST).is_file():  # a damaged one lacks it
            check_folder(path, overwrite=True, mark=MANIFEST, kind="bundle", holds=BUNDLE)
        elif path.is_dir() and (path / METRICS_FILE).is_file():
            check_folder(path, overwrite=True, mark=METRICS_FILE, kind="evaluation", holds=EVALUATION)


def _results(folder: Path) -> Iterator[Path]:
    """Yield everything in a run folder that belongs to the run or describes its model."""
    for path in sorted(folder.iterdir()):
        marked = path.is_dir() and any((path / mark).is_file() for mark in MARKS)
        if marked or path.name in (*RUN, *ABOUT):
            yield path
