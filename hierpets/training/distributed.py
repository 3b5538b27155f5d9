"""The processes that ``torchrun`` starts, or the single one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

__all__ = ["DistributedContext", "current_context", "join_distributed"]

T = TypeVar("T")
# One process may extract the features of a large data set while the others wait.
TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True)
class DistributedContext:
    """This process, number ``rank`` of ``world_size``. Only the main one writes files and logs."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in order of rank, in each of them. It unpickles what its peers send."""
        if self.world_size == 1:
            return [value]
        values: list[T | None] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]

    def sum(self, value: torch.Tensor) -> float:
        """Return the sum of a scalar tensor over all processes, the same number in each."""
        if self.world_size > 1:
            dist.all_reduce(value)
        return float(value)

    def wait(self) -> None:
        """Wait until all processes have arrived here."""
        if self.world_size > 1:
            dist.barrier()


def current_context() -> DistributedContext:
    """Return this process among those that :func:`join_distributed` joined; a single process outside of it."""
    if dist.is_available() and dist.is_initialized():
        return DistributedContext(dist.get_rank(), dist.get_world_size())
    return DistributedContext()


@contextmanager
def join_distributed(device: str) -> Iterator[DistributedContext]:
    """Join the process group of ``torchrun`` (gloo on the CPU, nccl on CUDA), and leave it on exit.

    Without ``torchrun``, or with ``--nproc-per-node 1``, there is nothing to join.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield current_context()
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=TIMEOUT)
    try:
        yield current_context()
    finally:
        dist.destroy_process_group()
