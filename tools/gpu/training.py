"""Check training on a GPU against a CPU, end to end: heads, fine-tuning in each precision, resuming after a kill, and
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
ALIKE = 0.05  # largest relative difference of a loss from that on a CPU


@dataclass(frozen=True)
class TrainingCheck:
    """One step: its ``seconds``, its ``result`` in words, and whether that ``holds``: is as expected."""

    step: str
    seconds: float
    result: str
    holds: bool


class Killed(Exception):
    """Raised to simulate that a training is killed."""


def check_training(data: str, folder: Path) -> Iterator[TrainingCheck]:
    """Train on ``data`` (a folder, or ``demo``) into ``folder``; yield each check when it is done."""
    heads = {device: _trained(data, folder / f"heads-{device}", "heads", device) for device in ("cpu", "cuda")}
    trained = {
        device: (_of_breeds(run.metrics["cross_validation"]), seconds) for device, (run, seconds) in heads.items()
    }
    yield from _compared("heads", "cross-validated breed accuracy", trained)
    yield from _finetuning(data, folder)
    measured = {device: _evaluated(heads["cpu"][0].bundle, data, device) for device in heads}
    yield from _compared("evaluate", "breed accuracy", measured)


def _compared(step: str, name: str, found: dict[str, tuple[float, float]]) -> Iterator[TrainingCheck]:
    """Yield a check of each device from its accuracy and seconds: accuracies may differ by 0.01."""
    accuracies = [accuracy for accuracy, _ in found.values()]
    same = max(accuracies) - min(accuracies) <= 0.01
    for device, (accuracy, seconds) in found.items():
        yield TrainingCheck(f"{step}, {device}", seconds, f"{name} {accuracy:.2%}", same)


def _finetuning(data: str, folder: Path) -> Iterator[TrainingCheck]:
    """Fine-tune on the CPU, and in each precision on the GPU, where a run is also killed and resumed."""
    _, exact, seconds = _finetuned(_settings(data, folder / "cpu", "finetune", "cpu") | _epochs("f32"))
    yield TrainingCheck(f"fine-tuning, cpu, f32, {EPOCHS} epochs", seconds, _words(exact), True)
    for precision in PRECISIONS:
        settings = _settings(data, folder / precision, "finetune", "cuda") | _epochs(precision)
        whole, losses, seconds = _finetuned(settings)
        alike = all(abs(ours - theirs) <= ALIKE * theirs for ours, theirs in zip(losses, exact, strict=True))
        yield TrainingCheck(f"fine-tuning, cuda, {precision}, {EPOCHS} epochs", seconds, _words(losses), alike)
        resumed, again, seconds = _resumed(settings | {"out": folder / f"{precision}-killed"})
        # Comparing bundles is not enough: if fine-tuning does not help, a bundle has the weights from before it.
        equal = _digest(resumed) == _digest(whole) and again[-1] == losses[-1]
        step = f"the same, killed in the second and resumed, {precision}"
        yield TrainingCheck(step, seconds, "the same loss and bundle" if equal else "another loss or bundle", equal)


def _finetuned(settings: dict[str, Any]) -> tuple[TrainResult, list[float], float]:
    """Fine-tune; return the result, the validation log losses before and after each epoch, and the seconds."""
    events: list[dict[str, Any]] = []
    result, seconds = timed(partial(train, **settings, listener=events.append))
    return result, [event["nll"] for event in events if event["event"] == "epoch"], seconds


def _resumed(settings: dict[str, Any]) -> tuple[TrainResult, list[float], float]:
    """Do the same with a run that is killed in its last epoch and then resumed."""

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
    """Train with a cache of its own for each device, so that no features of another device are used."""
    with patch.dict(os.environ, HIERPETS_CACHE=str(out.with_name(f"cache-{device}"))):
        return timed(lambda: train(**_settings(data, out, recipe, device)))


def _settings(data: str, out: Path, recipe: str, device: str) -> dict[str, Any]:
    return {"data": data, "out": out, "recipe": recipe, "device": device, "backbone": BACKBONE}


def _evaluated(bundle: Path, data: str, device: str) -> tuple[float, float]:
    evaluation, seconds = timed(lambda: evaluate(bundle, data, device=device))
    return _of_breeds(evaluation.metrics), seconds


def _of_breeds(metrics: Metrics) -> float:
    return metrics.breed.accuracy if metrics.breed else metrics.species.accuracy
