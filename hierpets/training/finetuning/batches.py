"""The training batches of one process: augmented photos with the numbers of their rows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.transforms import Augment
from hierpets.plugin import Preprocess
from hierpets.training.finetuning.sampling import BatchPlan

__all__ = ["TrainingBatches"]


@dataclass(frozen=True)
class TrainingBatches:
    """Every batch is decided by the plan, the seed and its place: not by threads, nor by what was read before."""

    paths: list[str]
    preprocess: Preprocess
    plan: BatchPlan
    seed: int
    workers: int

    def read(self, epoch: int, first_step: int = 0) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Photo numbers int64 [B] and inputs float32 [B, 3, size, size], from step ``first_step`` of an epoch on."""
        augment = Augment(self.preprocess, self.seed)
        positions = self.plan.positions(first_step)
        rows = self.plan.order(epoch)[positions]
        places = positions.ravel()
        inputs = iter_inputs(
            [self.paths[i] for i in rows.ravel()],
            self.preprocess,
            batch_size=max(1, rows.shape[1]),
            workers=self.workers,
            # By place, not by photo: one that is drawn twice in an epoch is seen in two ways.
            transform=lambda i, photo: augment(photo, epoch=epoch, index=int(places[i])),
        )
        for batch, (_, images) in zip(rows, inputs, strict=True):
            yield batch, images
