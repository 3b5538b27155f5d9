"""TensorBoard as one more listener to a run, when the extra ``track`` is there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hierpets.training.run import Event, Listener

__all__ = ["Tracker", "broadcast", "find_tracker"]

FOLDER = "tensorboard"
EPOCH_TAGS = {
    "loss": "loss/training",
    "nll": "loss/validation",
    "breed": "accuracy/breed",
    "species": "accuracy/species",
}


def find_tracker(run: Path) -> Tracker | None:
    """A tracker that writes to ``RUN/tensorboard``; None without the package ``tensorboard``."""
    return Tracker(run / FOLDER) if find_spec("tensorboard") is not None else None


def broadcast(*listeners: Listener | None) -> Listener:
    """One listener that passes every event on."""
    present = [listener for listener in listeners if listener is not None]

    def pass_on(event: Event) -> None:
        for listener in present:
            listener(event)

    return pass_on


class Tracker:
    """Writes epochs as curves, final metrics as points and every other event as text. Opened by the first event."""

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
