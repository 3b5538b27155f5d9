"""Training on a GPU from end to end, beside a CPU: heads, fine-tuning in each precision, a kill and a resumption,
evaluation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.run import evaluate
from hierpets.training.outcome.result import TrainResult
from hierpets.training.recipe import train
from tools.gpu.engines import timed

__all__ = ["TrainingCheck", "check_training"]

BACKBONE, EPOCHS = "efficientnet_lite0", 2
PRECISIONS = ("f32", "bf16", "f16")
ALIKE = 0.05  # how far a loss may be from that of a CPU, as a share of it


@dataclass(frozen=True)
class TrainingCheck:
    """One step: how many ``seconds`` it took, what came out (``result``), and whether that is right."""

    step: str
    seconds: float
    result: str
    holds: bool


class Killed(Exception):
    """Stands for a kill in the middle of a training."""


def check_training(data: str, folder: Path) -> Iterator[TrainingCheck]:
    """Train on ``data`` (a folder, or ``demo``) into ``folder``; each check comes when it is done."""
    heads = {device: _trained(data, folder / f"heads-{device}", "heads", device) for device in ("cpu", "cuda")}
    trained = {
        device: (_of_breeds(run.metrics["cross_validation"]), seconds) for device, (run, seconds) in heads.items()
    }
    yield from _compared("heads", "cross-validated breed accuracy", trained)
    yield from _finetuning(data, folder)
    measured = {device: _evaluated(heads["cpu"][0].bundle, data, device) for device in heads}
    yield from _compared("evaluate", "breed accuracy", measured)


def _compared(step: str, name: str, found: dict[str, tuple[float, float]]) -> Iterator[TrainingCheck]:
    """A check of each device, from its accuracy and seconds: all the same, but for a photo in a hundred."""
    accuracies = [accuracy for accuracy, _ in found.values()]
    same = max(accuracies) - min(accuracies) <= 0.01
    for device, (accuracy, seconds) in found.items():
        yield TrainingCheck(f"{step}, {device}", seconds, f"{name} {accuracy:.2%}", same)


def _finetuning(data: str, folder: Path) -> Iterator[TrainingCheck]:
    """On the CPU, and in each precision on the GPU, where it is also killed and resumed."""
    _, exact, seconds = _finetuned(_settings(data, folder / "cpu", "finetune", "cpu") | _epochs("f32"))
    yield TrainingCheck(f"fine-tuning, cpu, f32, {EPOCHS} epochs", seconds, _words(exact), True)
    for precision in PRECISIONS:
        settings = _settings(data, folder / precision, "finetune", "cuda") | _epochs(precision)
        whole, losses, seconds = _finetuned(settings)
        alike = all(abs(ours - theirs) <= ALIKE * theirs for ours, theirs in zip(losses, exact, strict=True))
        yield TrainingCheck(f"fine-tuning, cuda, {precision}, {EPOCHS} epochs", seconds, _words(losses), alike)
        resumed, again, seconds = _resumed(settings | {"out": folder / f"{precision}-killed"})
        # The bundle alone would not do: where fine-tuning does not help, it holds what was there before.
        equal = _digest(resumed) == _digest(whole) and again[-1] == losses[-1]
        step = f"the same, killed in the second and resumed, {precision}"
        yield TrainingCheck(step, seconds, "the same loss and bundle" if equal else "another loss or bundle", equal)


def _finetuned(settings: dict[str, Any]) -> tuple[TrainResult, list[float], float]:
    """What is trained, the validation log loss before and after each epoch, and the seconds."""
    events: list[dict[str, Any]] = []
    result, seconds = timed(partial(train, **settings, listener=events.append))
    return result, [event["nll"] for event in events if event["event"] == "epoch"], seconds


def _resumed(settings: dict[str, Any]) -> tuple[TrainResult, list[float], float]:
    """The same of a run that is killed in its last epoch and goes on."""

    def kill(task: str, done: int, total: int | None) -> None:
        if task == "fine-tuning steps" and done > 0.6 * (total or 0):
            raise Killed

    try:
        train(**settings, progress=kill)
    except Killed:
        return _finetuned(settings | {"resume": True})
    raise AssertionError("the training was to be killed in its second epoch, and ended")


def _epochs(precision: str) -> dict[str, Any]:
    return {"finetune": {"epochs": EPOCHS, "precision": precision, "patience": EPOCHS}}


def _words(losses: Sequence[float]) -> str:
    return f"validation log loss {losses[0]:.3f} before, {losses[-1]:.3f} after"


def _digest(run: TrainResult) -> str:
    return run.predictor().model.digest


def _trained(data: str, out: Path, recipe: str, device: str) -> tuple[TrainResult, float]:
    """Trained with features of this device: the cache would give it those of another."""
    with patch.dict(os.environ, HIERPETS_CACHE=str(out.with_name(f"cache-{device}"))):
        return timed(lambda: train(**_settings(data, out, recipe, device)))


def _settings(data: str, out: Path, recipe: str, device: str) -> dict[str, Any]:
    return {"data": data, "out": out, "recipe": recipe, "device": device, "backbone": BACKBONE}


def _evaluated(bundle: Path, data: str, device: str) -> tuple[float, float]:
    evaluation, seconds = timed(lambda: evaluate(bundle, data, device=device))
    return _of_breeds(evaluation.metrics), seconds


def _of_breeds(metrics: Metrics) -> float:
    return metrics.breed.accuracy if metrics.breed else metrics.species.accuracy
