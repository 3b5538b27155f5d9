"""A run folder: ``config.yaml``, ``log.jsonl``, ``metrics.json``, ``bundle/``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from hierpets.config import TrainConfig
from hierpets.evaluation.metrics.compute import metrics_json
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.files import write_all, write_text
from hierpets.progress import Progress, no_progress
from hierpets.training.distributed import current_context

__all__ = ["Event", "Listener", "Run"]

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Run:
    """The folder of one training run, and the voice in which it tells what happens.

    Every event is a line of ``log.jsonl`` and goes to the listener; progress is passed on and not logged.
    Of several processes only the main one writes and tells.
    """

    def __init__(self, config: TrainConfig, listener: Listener | None = None, progress: Progress = no_progress):
        self.folder = config.out
        self.silent = not current_context().is_main
        self.bundle = self.folder / "bundle"
        self.checkpoint = self.folder / "checkpoint.pt"
        self._listener = listener or (lambda event: None)
        self._progress = progress
        self._started = time.monotonic()
        if not self.silent:
            write_text(self.folder / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def log(self, event: str, **fields: Any) -> None:
        """Log an event and pass it on."""
        if self.silent:
            return
        line = {"event": event, "seconds": round(time.monotonic() - self._started, 3), **fields}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self._listener(line)

    def progress(self, task: str, done: int, total: int | None, /) -> None:
        """Pass a bar's progress on; not logged."""
        if not self.silent:
            self._progress(task, done, total)

    def save_artifact(self, name: str, draw: Callable[[], bytes]) -> None:
        """Write a file of the run; what is not to be written is not drawn."""
        if not self.silent:
            write_all(self.folder, {name: draw()})

    def write_metrics(self, metrics: Mapping[str, Metrics]) -> None:
        if not self.silent:
            write_text(self.folder / "metrics.json", metrics_json(metrics))
