"""From a sampler's weights to the batches of one process: decided by seed, epoch and place, by no thread."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.transforms import Augment
from hierpets.errors import ConfigError
from hierpets.plugin import Preprocess

__all__ = ["BatchPlan", "TrainingBatches", "epoch_order"]

ORDER = 0x5A  # keeps this stream of random numbers apart from others of the same seed


def epoch_order(weights: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """int64 [N]: which photos an epoch shows, in order.

    Equal weights [N] give a permutation: every photo once. Otherwise N photos are sampled with replacement, each in
    proportion to its weight.
    """
    generator = np.random.default_rng([ORDER, seed, epoch])
    if np.ptp(weights) == 0:
        return generator.permutation(len(weights))
    return generator.choice(len(weights), size=len(weights), p=weights / weights.sum())


@dataclass(frozen=True)
class BatchPlan:
    """How N photos become batches of equal size; the few left over differ from epoch to epoch.

    ``weights`` [N] come from the sampler. ``batch_size`` counts the photos of one step over all processes.
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
        """Photos a step, over all processes."""
        return min(self.batch_size, len(self.weights))

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return len(self.weights) // self.rows

    @property
    def own_rows(self) -> slice:
        """The rows of every batch that this process takes."""
        start, stop = (self.rows * rank // self.world_size for rank in (self.rank, self.rank + 1))
        return slice(start, stop)

    def positions(self, first_step: int = 0) -> np.ndarray:
        """int64 [steps, own rows]: places in the epoch's order, of the steps from ``first_step`` on."""
        grid = np.arange(self.steps * self.rows).reshape(self.steps, self.rows)
        return grid[first_step:, self.own_rows]

    def order(self, epoch: int) -> np.ndarray:
        """The epoch's order, see :func:`epoch_order`."""
        return epoch_order(self.weights, seed=self.seed, epoch=epoch)


@dataclass(frozen=True)
class TrainingBatches:
    """The augmented photos of one process. Every batch is decided by the plan, the seed and its place alone."""

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
            # By place, not by photo: one that is sampled twice in an epoch is augmented in two ways.
            transform=lambda i, photo: augment(photo, epoch=epoch, index=int(places[i])),
        )
        for batch, (_, images) in zip(rows, inputs, strict=True):
            yield batch, images
