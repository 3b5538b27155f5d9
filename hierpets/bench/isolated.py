"""The rates of decoding and of the network in isolation, each with all cores: what bounds a stream of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, repeat
from time import perf_counter

import numpy as np

from hierpets.data.transforms import read_square
from hierpets.inference.engines.base import Engine
from hierpets.plugin import Preprocess
from hierpets.workers import cores

__all__ = ["decode_rate", "measured_rate", "network_rate"]

BATCHES = (1, 4, 16)
WARM_UP = 4  # photos of each decoding thread, to warm up and to estimate by


def decode_rate(preprocess: Preprocess, paths: Sequence[str], seconds: float) -> float:
    """Photos per second that are read, decoded and preprocessed by one thread per core."""

    def load(path: str) -> None:
        read_square(path, preprocess)

    with ThreadPoolExecutor(cores()) as pool:

        def run(count: int) -> None:
            for _ in pool.map(load, islice(cycle(paths), count)):
                pass

        return measured_rate(run, seconds, step=WARM_UP * cores())


def network_rate(engine: Engine, preprocess: Preprocess, paths: Sequence[str], seconds: float) -> float:
    """Photos per second through the network alone: its workers feed it ready batches, of the fastest size."""
    photos = [read_square(path, preprocess) for path in paths[: max(BATCHES)]]

    def rate(size: int) -> float:
        batch = np.stack(list(islice(cycle(photos), size)))

        def run(count: int) -> None:
            for _ in workers.map(engine, repeat(batch, -(-count // size))):
                pass

        return measured_rate(run, seconds / len(BATCHES), step=size * engine.workers)

    with ThreadPoolExecutor(engine.workers) as workers:
        return max(rate(size) for size in BATCHES)


def measured_rate(run: Callable[[int], None], seconds: float, *, step: int = 1) -> float:
    """Items per second of ``run(count)``, over a count that takes about ``seconds``; the first steps warm up."""
    run(step)
    count = max(step, round(step / _time(run, step) * seconds / step) * step)
    return count / _time(run, count)


def _time(run: Callable[[int], None], count: int) -> float:
    start = perf_counter()
    run(count)
    return perf_counter() - start
