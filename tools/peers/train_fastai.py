"""fastai's ``fine_tune`` on the photos that hierpets trains on, from the same backbone.

    python -m tools.peers.train_fastai --model FOLDER --epochs N --minutes M --target 0.85 --out RESULT.json

It stops when the target is reached or the minutes are over. The time counts from the start of the process, without
what it spends on validation.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402 - the imports that follow are a part of the time
import csv  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from fastai.vision.all import (  # noqa: E402
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

from tools.peers.network import build_network, read_carried  # noqa: E402

BATCH = 32
MOST_VALIDATED = 400


class UntilTarget(Callback):
    """Notes time and accuracy after each epoch; stops at the target, or when the time is over."""

    order = 60  # after the Recorder, which computes the accuracy

    def __init__(self, target: float, seconds: float):
        self.target, self.seconds = target, seconds
        self.validating, self.done = 0.0, False
        self.epochs: list[tuple[float, float]] = []

    def before_fit(self) -> None:
        if self.done:
            raise CancelFitException

    def before_validate(self) -> None:
        self._paused = time.perf_counter()

    def after_validate(self) -> None:
        self.validating += time.perf_counter() - self._paused

    def after_batch(self) -> None:
        if self.training and self.elapsed() > self.seconds:
            self.done = True
            raise CancelFitException

    def after_epoch(self) -> None:
        self.note(float(self.recorder.values[-1][-1]))
        if self.done:
            raise CancelFitException

    def elapsed(self) -> float:
        return time.perf_counter() - STARTED - self.validating

    def note(self, reached: float) -> None:
        self.epochs.append((self.elapsed(), reached))
        self.done |= reached >= self.target or self.elapsed() > self.seconds


def read_labels(file: Path) -> tuple[dict[str, str], list[int]]:
    """The label of each path, of all training photos and at most 400 of those held out; the places of the latter."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    held_out = [row for row in rows if row["split"] == "test"]
    kept = [row for row in rows if row["split"] == "train"] + held_out[:: max(1, -(-len(held_out) // MOST_VALIDATED))]
    labels = {row["path"]: f"{row['species']}/{row['breed'] or '-'}" for row in kept}
    return labels, [n for n, row in enumerate(kept) if row["split"] == "test"]


def make_learner(model: Path) -> Any:
    """``vision_learner`` with its defaults: a body cut from the backbone, a head of fastai's own."""
    carried, (labels, held_out) = read_carried(model), read_labels(model / "data.csv")
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=lambda path: labels[path],
        splitter=IndexSplitter(held_out),
        item_tfms=Resize(carried.shorter_side),
        batch_tfms=[*aug_transforms(size=carried.size), Normalize.from_stats(carried.mean, carried.std, cuda=False)],
    )
    loaders = block.dataloaders(list(labels), bs=BATCH)

    def backbone(pretrained: bool = True) -> Any:
        return build_network(model)

    return vision_learner(loaders, backbone, normalize=False, metrics=accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    learner, until = make_learner(given.model), UntilTarget(given.target, given.minutes * 60)
    learner.add_cb(until)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(given.epochs)
        learner.remove_cb(until)  # which would not let it validate once it is done
        finished = until.elapsed()
        stopped = finished > until.seconds
        if stopped:  # in the middle of an epoch: measure what it had come to
            until.epochs.append((finished, float(learner.validate()[1])))
    given.out.write_text(json.dumps({"epochs": until.epochs, "stopped": stopped}))


if __name__ == "__main__":
    main()
