"""Micro-batching across requests: a few threads run the model, and a bounded queue of items waits for them."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Batcher", "Closed", "Full"]

T = TypeVar("T")
R = TypeVar("R")


class Full(Exception):
    """The queue has no room for these items; it should have in ``retry_after`` seconds."""

    def __init__(self, retry_after: int):
        super().__init__(f"no room; try again in {retry_after} s")
        self.retry_after = retry_after


class Closed(Exception):
    """The batcher is stopping and takes no more items."""


@dataclass(frozen=True)
class Job(Generic[T, R]):
    item: T
    weight: int
    done: Future[R] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[T, R]):
    """Calls ``work`` on batches of at most ``size`` items, in ``workers`` threads of its own, first come, first served.

    ``work`` returns one result per item. A batch waits at most ``wait`` seconds for more items, and leaves other idle
    workers their share of the queue. The weights of the queued items sum to at most ``room``; the weight of an item is
    the number of ordinary items that take as long.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R]],
        *,
        size: int,
        wait: float,
        room: int,
        workers: int = 1,
        on_batch: Callable[[int, float], None] = lambda items, seconds: None,
    ):
        self._work, self._size, self._wait, self._room, self._on_batch = work, size, wait, room, on_batch
        self._jobs: deque[Job[T, R]] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._closed = False
        self._seconds_per_weight = 0.02 / workers  # a guess, until it is measured
        self._threads = [threading.Thread(target=self._run, name=f"batcher_{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of queued items, which no batch has taken yet."""
        return len(self._jobs)

    @property
    def ready(self) -> bool:
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def submit(self, items: Sequence[T], weight: int = 1) -> list[Future[R]]:
        """Queue all items, each of this weight, or none of them, and return one future per item.

        An item whose future is cancelled before its turn takes no room. An empty queue takes any number of items;
        otherwise those that weigh more than ``room`` would never be accepted.

        :raises Full: there is no room for them.
        :raises Closed: after :meth:`close`.
        """
        with self._changed:
            if self._closed:
                raise Closed
            self._jobs = deque(job for job in self._jobs if not job.done.cancelled())
            taken = sum(job.weight for job in self._jobs)
            if taken and taken + weight * len(items) > self._room:
                raise Full(max(1, math.ceil(taken * self._seconds_per_weight)))
            jobs: list[Job[T, R]] = [Job(item, weight) for item in items]
            self._jobs += jobs
            self._changed.notify()
        return [job.done for job in jobs]

    def close(self) -> None:
        """Accept no more items, finish the queued ones, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._gather():
            alive = [job for job in batch if job.done.set_running_or_notify_cancel()]
            if alive:
                self._run_batch(alive)

    def _gather(self) -> list[Job[T, R]]:
        """Wait for the next batch and return it; an empty one if there will be no more."""
        with self._changed:
            self._idle += 1
            while (not self._jobs and not self._closed) or self._should_wait():
                self._changed.wait(self._deadline() - time.monotonic() if self._jobs else None)
            share = math.ceil(len(self._jobs) / self._idle)
            batch = [self._jobs.popleft() for _ in range(min(self._size, share))]
            self._idle -= 1
            if self._jobs:  # threads are woken one at a time, each by the one before
                self._changed.notify()
            return batch

    def _should_wait(self) -> bool:
        """Whether the queue has too few items to fill a batch, and none of them has waited long enough."""
        return 0 < len(self._jobs) < self._size and not self._closed and time.monotonic() < self._deadline()

    def _deadline(self) -> float:
        return self._jobs[0].since + self._wait

    def _run_batch(self, jobs: list[Job[T, R]]) -> None:
        start = time.perf_counter()
        try:
            results = self._work([job.item for job in jobs])
            for job, result in zip(jobs, results, strict=True):
                job.done.set_result(result)
        except Exception as error:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
        seconds = time.perf_counter() - start
        with self._changed:
            each = seconds / sum(job.weight for job in jobs) / len(self._threads)
            self._seconds_per_weight += 0.1 * (each - self._seconds_per_weight)
        self._on_batch(len(jobs), seconds)
