"""Train the whole network from its closed-form heads, gently, and keep the best point on the way."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hierpets.config import TrainConfig
from hierpets.data.index import PhotoIndex
from hierpets.errors import DataError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.rounding import round_weights
from hierpets.plugin import Preprocess
from hierpets.training.distributed import current_context
from hierpets.training.figures import BATCH_FILE, CURVES_FILE, draw_batch, draw_curves
from hierpets.training.finetuning.batches import TrainingBatches
from hierpets.training.finetuning.checkpoint import (
    Checkpoint,
    check_same,
    describe_settings,
    read_checkpoint,
    write_checkpoint,
)
from hierpets.training.finetuning.interpolation import choose_share, interpolate
from hierpets.training.finetuning.learner import Learner, Weights, copy_weights
from hierpets.training.finetuning.softening import apply_temperatures
from hierpets.training.run import Run
from hierpets.training.score import Score, Validation

__all__ = ["FinetuneResult", "finetune"]

History = list[dict[str, Any]]


@dataclass(frozen=True)
class FinetuneResult:
    """The best ``network``, on the CPU, rounded as a bundle stores it.

    ``history`` has a row for the start (epoch 0, only with validation photos) and for each epoch. The network stands at
    ``share`` of the way from the start (0) to the moving average after epoch ``best_epoch`` (1).
    """

    network: HierarchicalNetwork
    history: tuple[dict[str, Any], ...]
    best_epoch: int
    share: float
    start: Score | None
    best: Score | None


def finetune(
    network: HierarchicalNetwork,
    train: PhotoIndex,
    val: PhotoIndex,
    *,
    weights: np.ndarray,
    preprocess: Preprocess,
    config: TrainConfig,
    run: Run,
    device: str,
    resume: bool = False,
    temperatures: Temperatures | None = None,
) -> FinetuneResult:
    """Train ``network`` in place. ``weights`` float [N], one a training photo, come from the sampler.

    The best epoch, and the best point between start and end, have the largest breed balanced accuracy on ``val``
    (species, where there are no breeds); the start is among the candidates. Without validation photos every epoch is
    trained and the last moving average is kept. With ``resume`` training goes on from ``run.checkpoint``, if it is
    there, and ends in the same weights as if it had not stopped. Processes joined by ``join_distributed`` share the
    work; each returns the same result, and only the main one writes checkpoints.

    ``temperatures`` are those of the heads' out-of-fold logits. Closed-form heads are far too sure, and would learn
    from little but their mistakes: they are divided by their temperatures first. Where the start wins, it is returned
    as it came.

    :raises ConfigError: another configuration or other photos than the checkpoint's; a loss that is not finite.
    :raises ImageError: a photo that cannot be read.
    """
    if not len(train):
        raise DataError("no photos to train on")
    heads = network.get_heads()
    if temperatures is not None:
        network.set_heads(apply_temperatures(heads, temperatures, network.taxonomy))
    processes = current_context()
    learner = Learner(network, train, weights=weights, config=config, device=device, processes=processes)
    workers = config.finetune.workers
    tuner = _Finetuner(
        learner,
        TrainingBatches(train.paths, preprocess, learner.plan, config.seed, workers),
        Validation(val, preprocess, config.combiner, device, processes, workers),
        run=run,
        identity=describe_settings(config, train, val),
        names=[str(train.leaf_of(record)) for record in train.records],
    )
    if resume:
        tuner.resume()
    elif processes.is_main:
        run.checkpoint.unlink(missing_ok=True)
    result = tuner.fit()
    if result.share == 0:
        network.set_heads(heads)
    return result


class _Finetuner:
    """Epochs, their scores, and which is the best. All that changes is in the learner or in a checkpoint's fields."""

    def __init__(
        self,
        learner: Learner,
        batches: TrainingBatches,
        validation: Validation,
        *,
        run: Run,
        identity: dict[str, Any],
        names: list[str],
    ):
        self.learner, self.batches, self.validation = learner, batches, validation
        self.run, self.identity, self.names = run, identity, names
        self.settings = learner.settings
        self.epoch, self.step, self.loss = 0, 0, 0.0
        self.history: History = []
        self.best: Weights = {}
        self.saved = time.monotonic()

    def fit(self) -> FinetuneResult:
        if self.validation and not self.history:
            self._note(epoch=0, **self.validation.score(self.learner.network).as_dict())
        while self.epoch < self.settings.epochs and not self._stalled():
            self._train_epoch()
            self._end_epoch()
        return self._choose()

    def resume(self) -> None:
        """Go on from the run's checkpoint, if there is one."""
        checkpoint = read_checkpoint(self.run.checkpoint)
        if checkpoint is None:
            return
        check_same(checkpoint.settings, self.identity, self.run.checkpoint)
        self.learner.load_state(checkpoint.learner)
        self.epoch, self.step, self.loss = checkpoint.epoch, checkpoint.step, checkpoint.loss
        self.history = checkpoint.history
        self.best = {name: tensor.to(self.learner.device) for name, tensor in checkpoint.best.items()}
        checkpoint.restore_random()
        self.run.log("resumed", epoch=self.epoch, step=self.step)

    def _train_epoch(self) -> None:
        steps = self.learner.plan.steps
        self.learner.begin_epoch()
        with closing(self.batches.read(self.epoch, self.step)) as batches:
            for rows, inputs in batches:
                if self.epoch == self.step == 0:
                    self._picture(rows, inputs)
                self.loss += self.learner.train_step(rows, inputs, epoch=self.epoch, step=self.step)
                self.step += 1
                self.run.progress("finetune", self.epoch * steps + self.step, self.settings.epochs * steps)
                if time.monotonic() - self.saved >= 60 * self.settings.checkpoint_minutes:
                    self._save()

    def _end_epoch(self) -> None:
        self.epoch += 1
        row: dict[str, Any] = {"epoch": self.epoch, "loss": self.loss / self.learner.plan.steps}
        better = True
        if self.validation:
            score = self.validation.score(self.learner.averaged)
            better = all(score.rank > _score(old).rank for old in self.history[1:])
            row |= score.as_dict()
        if better:
            self.best = copy_weights(self.learner.averaged)
        self._note(**row)
        self.step, self.loss = 0, 0.0
        self._save()

    def _note(self, **row: Any) -> None:
        self.history.append(row)
        self.run.log("epoch", **row)
        self.run.save_artifact(CURVES_FILE, lambda: draw_curves(self.history))

    def _picture(self, rows: np.ndarray, inputs: np.ndarray) -> None:
        """Show the first batch as it goes in: a wrong augmentation is seen, not measured."""
        names = [self.names[row] for row in rows]
        self.run.save_artifact(BATCH_FILE, lambda: draw_batch(inputs, names, self.batches.preprocess))

    def _stalled(self) -> bool:
        """Whether the last ``patience`` epochs were no better than some row before them, the start included."""
        return bool(self.validation) and len(self.history) - 1 - _best_row(self.history) >= self.settings.patience

    def _save(self) -> None:
        if not self.learner.processes.is_main:
            return
        checkpoint = Checkpoint(
            settings=self.identity,
            epoch=self.epoch,
            step=self.step,
            loss=self.loss,
            history=self.history,
            best=self.best,
            learner=self.learner.state(),
        )
        write_checkpoint(self.run.checkpoint, checkpoint)
        self.saved = time.monotonic()

    def _choose(self) -> FinetuneResult:
        """Put the best network in place."""
        choice = choose_share(self.settings.interpolation, self._score_share) if self.validation else None
        share = choice.share if choice else 1.0
        best_epoch = 1 + _best_row(self.history[1:]) if choice else self.epoch
        network = self._place(share).cpu().to(memory_format=torch.contiguous_format).requires_grad_(True)
        return FinetuneResult(
            network=network.eval(),
            history=tuple(self.history),
            best_epoch=best_epoch,
            share=share,
            start=_score(self.history[0]) if choice else None,
            best=choice.score if choice else None,
        )

    def _score_share(self, share: float) -> Score:
        return self.validation.score(self._place(share))

    def _place(self, share: float) -> HierarchicalNetwork:
        """The network at that share of the way, rounded: what is judged is what will be served."""
        network = self.learner.network
        network.load_state_dict(interpolate(self.learner.start, self.best, share))
        round_weights(network.backbone)
        return network


def _score(row: dict[str, Any]) -> Score:
    return Score(breed=row["breed"], species=row["species"], nll=row["nll"])


def _best_row(history: History) -> int:
    """The place of the row with the best score, the first among equals."""
    return max(range(len(history)), key=lambda i: _score(history[i]).rank)
