"""Run work in a few threads, with results in order and few items in flight; and locks that survive a fork."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["MemoryBudget", "ProcessLock", "cores", "not_live", "run_in_order"]

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def not_live() -> bool:
    """The default of ``live``: the next item is available at once."""
    return False


def run_in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int,
    ahead: int,
    live: Callable[[], bool] = not_live,
    name: str = "worker",
) -> Iterator[Future[R]]:
    """Run ``work`` on every item in a pool of threads; the futures come in the order of the items.

    At most ``ahead`` items are taken from ``items`` before the result of the first is yielded, so they may be endless.
    ``live`` says whether the next item is still to come: then the results of all items taken so far are yielded before
    it is requested. If ``items`` raises, the results of the items before are yielded before the error.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix=name)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            while waiting and (len(waiting) >= ahead or waiting[0].done() or live()):
                yield waiting.popleft()
        yield from _emptied(waiting)
    except Exception:
        yield from _emptied(waiting)
        raise
    finally:  # also when the caller stops early
        pool.shutdown(wait=True, cancel_futures=True)


def _emptied(waiting: deque[Future[R]]) -> Iterator[Future[R]]:
    while waiting:
        yield waiting.popleft()


def _renew_in_forks(renew: Callable[[], None]) -> None:
    """Call ``renew`` now and in every forked process, where threads that held a lock do not exist to release it.

    The object that is renewed must live as long as the process.
    """
    renew()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


class ProcessLock:
    """A lock for all threads of a process, which is released in forked processes."""

    def __init__(self) -> None:
        _renew_in_forks(self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class MemoryBudget:
    """A limit on the bytes that all threads of a process hold together.

    A thread that needs more than is free waits; one that needs more than ``total`` waits until all of it is free. A
    forked process starts with all of it free.
    """

    def __init__(self, total: int):
        self._total = total
        _renew_in_forks(self._renew)

    def _renew(self) -> None:
        self._free = self._total
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until ``size`` bytes are free, and hold them inside."""
        taken = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()
