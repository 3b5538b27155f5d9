"""Training on a GPU from end to end: heads, fine-tuning in each precision, a kill and a resumption, evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hierpets.evaluation.run import evaluate
from hierpets.training.recipe import TrainResult, train
from tools.gpu.engines import timed

__all__ = ["TrainingCheck", "check_training"]

BACKBONE, EPOCHS = "efficientnet_lite0", 2
PRECISIONS = ("f32", "bf16", "f16")


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
    accuracy = {device: _accuracy(run) for device, (run, _) in heads.items()}
    same = abs(accuracy["cuda"] - accuracy["cpu"]) <= 0.01
    for device, (_, seconds) in heads.items():
        yield TrainingCheck(f"heads, {device}", seconds, f"cross-validated breed accuracy {accuracy[device]:.2%}", same)
    for precision in PRECISIONS:
        yield from _finetuning(data, folder, precision)
    for device in ("cpu", "cuda"):
        measured, seconds = timed(partial(evaluate, heads["cpu"][0].bundle, data, device=device))
        breed = measured.metrics.breed
        found = breed.accuracy if breed else measured.metrics.species.accuracy
        yield TrainingCheck(f"evaluate, {device}", seconds, f"breed accuracy {found:.2%}", found > 0.5)


def _finetuning(data: str, folder: Path, precision: str) -> Iterator[TrainingCheck]:
    chosen = {"epochs": EPOCHS, "precision": precision, "patience": EPOCHS}
    events: list[dict[str, Any]] = []
    settings = _settings(data, folder / precision, "finetune", "cuda") | {"finetune": chosen}
    whole, seconds = timed(partial(train, **settings, listener=events.append))
    losses = [event["nll"] for event in events if event["event"] == "epoch"]
    yield TrainingCheck(
        f"fine-tuning, {precision}, {EPOCHS} epochs",
        seconds,
        f"validation log loss {losses[0]:.3f} to {min(losses[1:]):.3f}",
        min(losses[1:]) < losses[0] * 1.1,
    )
    resumed, again = timed(partial(_resumed, settings | {"out": folder / f"{precision}-killed"}))
    equal = resumed.predictor().model.digest == whole.predictor().model.digest
    yield TrainingCheck(
        f"the same, killed in the second and resumed, {precision}",
        again,
        "the same bundle" if equal else "another bundle",
        equal,
    )


def _resumed(settings: dict[str, Any]) -> TrainResult:
    def kill(task: str, done: int, total: int | None) -> None:
        if task == "fine-tuning" and done > 0.6 * (total or 0):
            raise Killed

    with suppress(Killed):
        train(**settings, progress=kill)
    return train(**settings, resume=True)


def _trained(data: str, out: Path, recipe: str, device: str) -> tuple[TrainResult, float]:
    result, seconds = timed(lambda: train(**_settings(data, out, recipe, device)))
    return result, seconds


def _settings(data: str, out: Path, recipe: str, device: str) -> dict[str, Any]:
    return {"data": data, "out": out, "recipe": recipe, "device": device, "backbone": BACKBONE}


def _accuracy(run: TrainResult) -> float:
    metrics = run.metrics["cross_validation"]
    return metrics.breed.accuracy if metrics.breed else metrics.species.accuracy
