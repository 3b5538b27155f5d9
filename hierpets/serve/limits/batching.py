"""Micro-batches across requests: one thread owns the model, and a bounded number of items waits for it."""

from __future__ import annotations

import math
import queue
import threading
import time
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
    done: Future[R] = field(default_factory=Future)


class Batcher(Generic[T, R]):
    """Calls ``work`` on batches of at most ``size`` items, in a thread of its own, first come, first served.

    A batch waits at most ``wait`` seconds for more items. At most ``room`` items wait; ``work`` returns one result per
    item.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R]],
        *,
        size: int,
        wait: float,
        room: int,
        on_batch: Callable[[int, float], None] = lambda items, seconds: None,
    ):
        self._work, self._size, self._wait, self._room, self._on_batch = work, size, wait, room, on_batch
        self._jobs: queue.SimpleQueue[Job[T, R] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._seconds_per_item = 0.02  # until it is measured
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        return self._waiting

    @property
    def ready(self) -> bool:
        return self._thread.is_alive() and not self._closed

    def submit(self, items: Sequence[T]) -> list[Future[R]]:
        """Take all items or none; one future each. A future that is cancelled before its turn costs nothing.

        :raises Full: there is no room for them.
        :raises Closed: after :meth:`close`.
        """
        with self._lock:
            if self._closed:
                raise Closed
            if self._waiting + len(items) > self._room:
                raise Full(max(1, math.ceil(self._waiting * self._seconds_per_item)))
            self._waiting += len(items)
            jobs: list[Job[T, R]] = [Job(item) for item in items]
            for job in jobs:
                self._jobs.put(job)
        return [job.done for job in jobs]

    def close(self) -> None:
        """Take no more items, finish those that wait, and end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._gather()
            alive = [job for job in batch if job.done.set_running_or_notify_cancel()]
            if alive:
                self._run_batch(alive)

    def _gather(self) -> tuple[list[Job[T, R]], bool]:
        """The next batch, and whether another may follow it."""
        batch: list[Job[T, R]] = []
        due = math.inf
        while len(batch) < self._size:
            try:
                job = self._jobs.get(timeout=None if not batch else max(0.0, due - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return batch, False
            if not batch:
                due = time.monotonic() + self._wait
            batch.append(job)
            with self._lock:
                self._waiting -= 1
        return batch, True

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
        self._seconds_per_item += 0.1 * (seconds / len(jobs) - self._seconds_per_item)
        self._on_batch(len(jobs), seconds)
