"""The training batches of one process, determined by the sampler's weights, the seed and the epoch, not by threads."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.transforms import Augment
from hierpets.errors import ConfigError
from hierpets.plugin import Preprocess

__all__ = ["BatchPlan", "TrainingBatches", "epoch_order"]

ORDER = 0x5A  # separates this stream of random numbers from others of the same seed


def epoch_order(weights: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Return the photos of an epoch in order, int64 [N].

    With equal weights [N], it is a permutation of all photos. Otherwise N photos are sampled with replacement, with
    probabilities proportional to their weights.
    """
    generator = np.random.default_rng([ORDER, seed, epoch])
    if np.ptp(weights) == 0:
        return generator.permutation(len(weights))
    return generator.choice(len(weights), size=len(weights), p=weights / weights.sum())


@dataclass(frozen=True)
class BatchPlan:
    """How N photos are divided into batches of equal size; the few left over differ from epoch to epoch.

    ``weights`` [N] come from the sampler. ``batch_size`` is the number of photos per step, over all processes.
    """

    weights: np.ndarray
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.rows < self.world_size:
            raise ConfigError(
                f"finetune.batch_size: {self.rows} photos per step cannot be split over {self.world_size} processes; "
                f"expected at least {self.world_size}"
            )

    @property
    def rows(self) -> int:
        """Photos per step, over all processes."""
        return min(self.batch_size, len(self.weights))

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return len(self.weights) // self.rows

    @property
    def own_rows(self) -> slice:
        """The rows of each batch that this process computes."""
        start, stop = (self.rows * rank // self.world_size for rank in (self.rank, self.rank + 1))
        return slice(start, stop)

    def positions(self, first_step: int = 0) -> np.ndarray:
        """Return the positions in the epoch's order that this process computes, int64 [steps, own rows].

        The first row is that of step ``first_step``.
        """
        grid = np.arange(self.steps * self.rows).reshape(self.steps, self.rows)
        return grid[first_step:, self.own_rows]

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch, see :func:`epoch_order`."""
        return epoch_order(self.weights, seed=self.seed, epoch=epoch)


@dataclass(frozen=True)
class TrainingBatches:
    """The augmented photos of one process. Each batch depends on the plan, the seed and its position alone."""

    paths: list[str]
    preprocess: Preprocess
    plan: BatchPlan
    seed: int
    workers: int

    def read(self, epoch: int, first_step: int = 0) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Yield photo indices int64 [B] and inputs float32 [B, 3, size, size] from ``first_step`` of an epoch on."""
        augment = Augment(self.preprocess, self.seed)
        positions = self.plan.positions(first_step)
        rows = self.plan.order(epoch)[positions]
        flat_positions = positions.ravel()
        inputs = iter_inputs(
            [self.paths[i] for i in rows.ravel()],
            self.preprocess,
            batch_size=max(1, rows.shape[1]),
            workers=self.workers,
            # By position, not by photo: a photo that is sampled twice in an epoch gets two augmentations.
            transform=lambda i, photo: augment(photo, epoch=epoch, index=int(flat_positions[i])),
        )
        for batch, (_, images) in zip(rows, inputs, strict=True):
            yield batch, images
