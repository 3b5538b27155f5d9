"""Trackers, which are listeners to a run: TensorBoard, if the extra ``track`` is installed, and plugins."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hierpets.errors import PluginError
from hierpets.libraries import is_installed
from hierpets.registry.plugin import Plugin
from hierpets.training.run.folder import Event, Listener

__all__ = ["EventWriter", "PluginTrackers", "broadcast", "find_tracker"]

FOLDER = "tensorboard"
_log = logging.getLogger(__name__)
EPOCH_TAGS = {
    "loss": "loss/training",
    "nll": "loss/validation",
    "breed": "accuracy/breed",
    "species": "accuracy/species",
}


def find_tracker(run: Path) -> EventWriter | None:
    """Return a tracker that writes to ``RUN/tensorboard``; None if the package ``tensorboard`` is not installed."""
    return EventWriter(run / FOLDER) if is_installed("tensorboard") else None


def broadcast(*listeners: Listener | None) -> Listener:
    """Return a listener that passes every event to all ``listeners`` that are not None."""
    present = [listener for listener in listeners if listener is not None]

    def pass_on(event: Event) -> None:
        for listener in present:
            listener(event)

    return pass_on


class PluginTrackers:
    """Tracker plugins as one listener, opened before anything slow begins.

    A tracker that fails on an event is dropped with a warning, so that a training of hours survives the loss of a
    tracking server.

    :raises PluginError: a tracker cannot be opened.
    """

    def __init__(self, plugins: Sequence[Plugin], run: Path):
        self._trackers = {plugin.name: (plugin, plugin.call(str(run))) for plugin in plugins}
        self._started = time.monotonic()

    def __enter__(self) -> PluginTrackers:
        return self

    def __exit__(self, *_: object) -> None:
        self({"event": "end", "seconds": round(time.monotonic() - self._started, 3)})

    def __call__(self, event: Event) -> None:
        for plugin, tracker in list(self._trackers.values()):
            try:
                with plugin.located():
                    tracker(dict(event))
            except PluginError as error:
                del self._trackers[plugin.name]
                _log.warning("%s; it gets no more events of this training", error)


class EventWriter:
    """Write epochs as curves, final metrics as points, and other events as text. Opened by the first event."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        writer = self._open()
        match event["event"]:
            case "epoch":
                for key, tag in EPOCH_TAGS.items():
                    if event.get(key) is not None:
                        writer.add_scalar(tag, event[key], event["epoch"])
            case "metrics":
                for level in ("species", "breed"):
                    if event.get(level) is not None:
                        writer.add_scalar(f"final/{event['on']}/{level} accuracy", event[level], 0)
            case kind:
                fields = {key: value for key, value in event.items() if key != "event"}
                writer.add_text(kind, "  \n".join(f"{key}: {value}" for key, value in fields.items()))
        writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder))
        return self._writer
