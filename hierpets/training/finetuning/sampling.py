"""From a sampler's weights to the photos of every batch: decided by (seed, epoch) alone, shared out among processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierpets.errors import ConfigError

__all__ = ["BatchPlan", "epoch_order", "shard"]

ORDER = 0x5A  # keeps this stream of random numbers apart from others of the same seed


def epoch_order(weights: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """int64 [N]: which photos an epoch shows, in order.

    Equal weights [N] give a permutation: every photo once. Otherwise N photos are drawn with replacement, each in
    proportion to its weight.
    """
    generator = np.random.default_rng([ORDER, seed, epoch])
    if np.ptp(weights) == 0:
        return generator.permutation(len(weights))
    return generator.choice(len(weights), size=len(weights), p=weights / weights.sum())


def shard(rows: int, *, rank: int, processes: int) -> slice:
    """The rows of a batch that one process takes. Cuts fall on even rows, so that a pair for mixup stays together."""
    pairs = (rows + 1) // 2
    start, stop = (2 * (pairs * r // processes) for r in (rank, rank + 1))
    return slice(start, min(stop, rows))


@dataclass(frozen=True)
class BatchPlan:
    """How N photos become batches of equal size; the few left over differ from epoch to epoch.

    ``weights`` [N] come from the sampler. ``batch_size`` counts the photos of one step over all processes.
    """

    weights: np.ndarray
    batch_size: int
    seed: int
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if (self.rows + 1) // 2 < self.processes:
            raise ConfigError(
                f"finetune.batch_size: {self.rows} photos a step cannot be shared by {self.processes} processes; "
                f"expected {2 * self.processes} at least"
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
        return shard(self.rows, rank=self.rank, processes=self.processes)

    def positions(self, first_step: int = 0) -> np.ndarray:
        """int64 [steps, own rows]: places in the epoch's order, of the steps from ``first_step`` on."""
        grid = np.arange(self.steps * self.rows).reshape(self.steps, self.rows)
        return grid[first_step:, self.own_rows]

    def order(self, epoch: int) -> np.ndarray:
        """The epoch's order, see :func:`epoch_order`."""
        return epoch_order(self.weights, seed=self.seed, epoch=epoch)
