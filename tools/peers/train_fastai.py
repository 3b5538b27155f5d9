"""Run fastai's ``fine_tune`` on the photos that hierpets trains on, from the same backbone."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from fastai.vision.all import (
    Callback,
    CancelFitException,
    CategoryBlock,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    vision_learner,
)

from tools.peers.network import build_network, read_spec

__all__ = ["train"]

BATCH = 32
MAX_VALIDATED = 400


class UntilTarget(Callback):
    """Records time and accuracy after each epoch; stops at the target, or after the epoch in which time runs out.

    The time counts from ``started``, without validation.
    """

    order = 60  # after the Recorder, which computes the accuracy

    def __init__(self, started: float, target: float, seconds: float):
        self.started, self.target, self.seconds = started, target, seconds
        self.epochs: list[tuple[float, float]] = []

    def before_fit(self) -> None:
        if self.epochs and self.done():
            raise CancelFitException

    def before_validate(self) -> None:
        self._paused = time.time()

    def after_validate(self) -> None:
        self.started += time.time() - self._paused

    def after_epoch(self) -> None:
        self.epochs.append((time.time() - self.started, float(self.recorder.values[-1][-1])))
        if self.done():
            raise CancelFitException

    def done(self) -> bool:
        seconds, reached = self.epochs[-1]
        return reached >= self.target or seconds > self.seconds


def train(
    network: str, data: str, started: float, epochs: int, minutes: float, target: float
) -> list[tuple[float, float]]:
    """Train; return seconds and accuracy after each epoch. ``network`` is a folder, ``data`` a CSV file."""
    learner, until = _make_learner(Path(network), Path(data)), UntilTarget(started, target, minutes * 60)
    learner.add_cb(until)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)
    return until.epochs


def _make_learner(network: Path, data: Path) -> Any:
    """Create a ``vision_learner`` with its defaults: the backbone as its body, and fastai's own head."""
    spec, (labels, held_out) = read_spec(network), _read_labels(data)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=lambda path: labels[path],
        splitter=IndexSplitter(held_out),
        item_tfms=Resize(spec.shorter_side),
        batch_tfms=[*aug_transforms(size=spec.size), Normalize.from_stats(spec.mean, spec.std, cuda=False)],
    )
    loaders = block.dataloaders(list(labels), bs=BATCH)

    def backbone(pretrained: bool = True) -> Any:
        return build_network(network)

    return vision_learner(loaders, backbone, normalize=False, metrics=accuracy)


def _read_labels(file: Path) -> tuple[dict[str, str], list[int]]:
    """Read labels by path, of all training photos and at most 400 held-out ones, and the indices of the latter."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    held_out = [row for row in rows if row["split"] == "test"]
    kept = [row for row in rows if row["split"] == "train"] + held_out[:: max(1, -(-len(held_out) // MAX_VALIDATED))]
    labels = {row["path"]: f"{row['species']}/{row['breed'] or '-'}" for row in kept}
    return labels, [n for n, row in enumerate(kept) if row["split"] == "test"]
