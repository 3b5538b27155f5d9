"""Batches the photos of several threads into one call: a GPU takes as long for a few photos as for many."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from hierpets.inference.engines.base import Engine, Precision, RawOutput

__all__ = ["GatheringEngine"]


class GatheringEngine:
    """Runs one batch at a time: photos that arrive meanwhile form the next batch, of at most ``limit`` photos.

    A single call is computed at once, without waiting for others.
    """

    def __init__(self, engine: Engine, limit: int):
        self.name, self.device = engine.name, engine.device
        self.precision: Precision = engine.precision
        self.workers, self.batch = engine.workers, engine.batch
        self._engine, self._limit = engine, limit
        self._waiting: deque[_Call] = deque()
        self._one_at_a_time = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        call = _Call(pixels, Future())
        self._waiting.append(call)
        while not call.output.done():
            with self._one_at_a_time:
                if not call.output.done():
                    self._run(self._take())
        return call.output.result()

    def _take(self) -> list[_Call]:
        """The calls that have waited longest, up to ``limit`` photos; at least one, however large it is."""
        taken, photos = list[_Call](), 0
        while self._waiting and (not taken or photos + len(self._waiting[0].pixels) <= self._limit):
            taken.append(self._waiting.popleft())
            photos += len(taken[-1].pixels)
        return taken

    def _run(self, calls: Sequence[_Call]) -> None:
        try:
            output = self._engine(np.concatenate([call.pixels for call in calls]))
        except Exception as error:  # each caller then finds out which of its photos caused it
            for call in calls:
                call.output.set_exception(error)
            return
        start = 0
        for call in calls:
            rows = slice(start, start := start + len(call.pixels))
            call.output.set_result(RawOutput(*(array[rows] for array in output)))


class _Call(NamedTuple):
    pixels: np.ndarray
    output: Future[RawOutput]
