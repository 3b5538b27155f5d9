"""Micro-batches across requests: a few threads own the model, and a bounded number of items waits for them."""

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
    """No room for these items; in ``retry_after`` seconds there should be."""

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

    A batch waits at most ``wait`` seconds for more items, and leaves to other idle workers their share of those that
    wait. What waits weighs at most ``room``: an item as much as the others that take as long as it does. ``work``
    returns one result per item.
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
        self._seconds_per_weight = 0.02 / workers  # until it is measured
        self._threads = [threading.Thread(target=self._run, name=f"batcher_{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        return len(self._jobs)

    @property
    def ready(self) -> bool:
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def submit(self, items: Sequence[T], weight: int = 1) -> list[Future[R]]:
        """Take all items, each of this weight, or none; one future each. One that is cancelled before its turn takes no
        room. Where nothing waits, any number is taken, or those that weigh more than all room never would be.

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
        """Take no more items, finish those that wait, and end the threads."""
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
        """The next batch; an empty one when there will be no more."""
        with self._changed:
            self._idle += 1
            while (not self._jobs and not self._closed) or self._may_grow():
                self._changed.wait(self._due() - time.monotonic() if self._jobs else None)
            share = math.ceil(len(self._jobs) / self._idle)
            batch = [self._jobs.popleft() for _ in range(min(self._size, share))]
            self._idle -= 1
            if self._jobs:  # one thread is woken at a time, and wakes the next
                self._changed.notify()
            return batch

    def _may_grow(self) -> bool:
        """Whether what waits is too little for a batch, and has not waited long."""
        return 0 < len(self._jobs) < self._size and not self._closed and time.monotonic() < self._due()

    def _due(self) -> float:
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
