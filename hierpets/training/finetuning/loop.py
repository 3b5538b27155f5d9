"""The loop over the epochs of a fine-tuning: validation, checkpoints, early stopping, and the choice of the best."""

from __future__ import annotations

import time
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hierpets.model.network import HierarchicalNetwork
from hierpets.model.rounding import round_weights
from hierpets.training.finetuning.averaging import choose_alpha, interpolate
from hierpets.training.finetuning.batches import TrainingBatches
from hierpets.training.finetuning.checkpoint import Checkpoint, write_checkpoint
from hierpets.training.finetuning.learner import Learner, Weights, copy_weights
from hierpets.training.run.figures import draw_batch, draw_curves
from hierpets.training.run.folder import BATCH_FILE, CURVES_FILE, Run
from hierpets.training.score import LabeledLogits, Score, Validation

__all__ = ["FinetuneResult", "FinetuningLoop"]

History = list[dict[str, Any]]
REDRAWN = 20  # seconds between two drawings of the curves: drawing takes as long as a short epoch


@dataclass(frozen=True)
class FinetuneResult:
    """The best ``network``, on the CPU, rounded as a bundle stores it; the initial one unless the best has ``won``.

    It wins if its balanced accuracy on the validation photos is better by more than a standard error. ``history`` has a
    row for the start (epoch 0) and for each epoch. The ``best`` score is that of a network between the start (``alpha``
    0) and the moving average after the best epoch (``alpha`` 1). All scores are those of the network's heads alone:
    without a second look, pretrained breeds, early networks or temperatures.
    """

    network: HierarchicalNetwork
    history: tuple[dict[str, Any], ...]
    alpha: float
    won: bool
    start: Score
    best: Score


class FinetuningLoop:
    """Train epoch by epoch. All state is in the learner, and in attributes that a checkpoint holds.

    ``identity`` describes what determines the result, and is compared when a run is resumed; ``names`` are the labels
    of the training photos.
    """

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
        self.rounded = deepcopy(learner.averaged)  # gets the weights to evaluate, rounded as in a bundle
        self.epoch, self.step, self.loss = 0, 0, 0.0
        self.history: History = []
        self.best: Weights = {}
        self.saved = self.drawn = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""
        self.learner.load_state(checkpoint.learner)
        self.epoch, self.step, self.loss = checkpoint.epoch, checkpoint.step, checkpoint.loss
        self.history = checkpoint.history
        self.best = {name: tensor.to(self.learner.device) for name, tensor in checkpoint.best.items()}
        checkpoint.restore_random()
        self.run.log("resumed", epoch=self.epoch, step=self.step)

    def fit(self) -> FinetuneResult:
        """Train until the last epoch, or until scores stop improving, and choose the best point on the way."""
        if not self.history:
            self._log_epoch(epoch=0, **self._ask(self.learner.start).score().as_dict())
        while self.epoch < self.settings.epochs and not self._stalled():
            self._train_epoch()
            self._end_epoch()
        if self.epoch < self.settings.epochs:
            self.run.log("stalled", epoch=self.epoch, patience=self.settings.patience)
        self._draw_curves()
        return self._choose()

    def _show_progress(self) -> None:
        steps = self.learner.plan.steps
        self.run.progress("fine-tuning steps", self.epoch * steps + self.step, self.settings.epochs * steps)

    def _train_epoch(self) -> None:
        self._show_progress()
        self.learner.begin_epoch()
        with closing(self.batches.read(self.epoch, self.step)) as batches:
            for rows, inputs in batches:
                if self.epoch == self.step == 0:
                    self._draw(rows, inputs)
                self.loss += self.learner.train_step(rows, inputs, epoch=self.epoch, step=self.step)
                self.step += 1
                self._show_progress()
                if time.monotonic() - self.saved >= 60 * self.settings.checkpoint_minutes:
                    self._save()

    def _end_epoch(self) -> None:
        self.epoch += 1
        score = self._ask(self.learner.averaged.state_dict()).score()
        if all(score.rank > _score(old).rank for old in self.history[1:]):
            self.best = copy_weights(self.learner.averaged)
        self._log_epoch(epoch=self.epoch, loss=self.loss / self.learner.plan.steps, **score.as_dict())
        self.step, self.loss = 0, 0.0
        self._save()

    def _log_epoch(self, **row: Any) -> None:
        self.history.append(row)
        self.run.log("epoch", **row)
        if time.monotonic() - self.drawn >= REDRAWN:
            self._draw_curves()

    def _draw_curves(self) -> None:
        self.run.save_artifact(CURVES_FILE, lambda: draw_curves(self.history))
        self.drawn = time.monotonic()

    def _draw(self, rows: np.ndarray, inputs: np.ndarray) -> None:
        """Save a picture of the first batch as the network sees it: wrong augmentation shows there, not in metrics."""
        names = [self.names[row] for row in rows]
        self.run.save_artifact(BATCH_FILE, lambda: draw_batch(inputs, names, self.batches.preprocess))

    def _stalled(self) -> bool:
        """Whether none of the last ``patience`` epochs was better than all before them, the start included."""
        return len(self.history) - 1 - _best_row(self.history) >= self.settings.patience

    def _save(self) -> None:
        if not self.learner.context.is_main:
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
        """Choose the best point between start and best epoch, and build the result from it."""
        best = choose_alpha(self.settings.interpolation, lambda alpha: self._ask(self._weights(alpha)))
        network = (
            self._place(self._weights(best.alpha)).cpu().to(memory_format=torch.contiguous_format).requires_grad_(True)
        )
        network.set_heads(network.get_heads().shifted(*self.validation.shift))
        return FinetuneResult(
            network=network.eval(),
            history=tuple(self.history),
            alpha=best.alpha,
            won=best.lead.is_clear,
            start=_score(self.history[0]),
            best=best.score,
        )

    def _weights(self, alpha: float) -> Weights:
        return interpolate(self.learner.start, self.best, alpha)

    def _ask(self, weights: Weights) -> LabeledLogits:
        return self.validation.ask(self._place(weights))

    def _place(self, weights: Weights) -> HierarchicalNetwork:
        """Return the network with these weights, rounded: what is evaluated is what will be served."""
        self.rounded.load_state_dict(weights)
        round_weights(self.rounded.backbone)
        return self.rounded


def _score(row: dict[str, Any]) -> Score:
    return Score(breed=row["breed"], species=row["species"], nll=row["nll"])


def _best_row(history: History) -> int:
    """Return the index of the row with the best score, the first one of several."""
    return max(range(len(history)), key=lambda i: _score(history[i]).rank)
