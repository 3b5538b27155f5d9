"""What decoding and the network reach alone, each with all cores: the limits of a stream that needs both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, repeat
from time import perf_counter

import numpy as np

from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply
from hierpets.inference.engines.base import Engine
from hierpets.plugin import Preprocess
from hierpets.workers import cores

__all__ = ["decode_rate", "measured_rate", "network_rate"]

BATCHES = (1, 4, 16)
FEW_TURNS = 4  # of each decoding thread, to warm up and to estimate by


def decode_rate(preprocess: Preprocess, paths: Sequence[str], seconds: float) -> float:
    """Photos a second that are read, decoded and preprocessed by one thread a core."""

    def load(path: str) -> None:
        apply(preprocess, read_photo(path, shorter_side=preprocess.decoded_side))

    with ThreadPoolExecutor(cores()) as pool:

        def run(count: int) -> None:
            for _ in pool.map(load, islice(cycle(paths), count)):
                pass

        return measured_rate(run, seconds, step=FEW_TURNS * cores())


def network_rate(engine: Engine, preprocess: Preprocess, paths: Sequence[str], seconds: float) -> float:
    """Photos a second through the network alone: its lanes give it ready batches, of the size that is fastest."""
    photos = [apply(preprocess, read_photo(p, shorter_side=preprocess.decoded_side)) for p in paths[: max(BATCHES)]]

    def rate(size: int) -> float:
        batch = np.stack(list(islice(cycle(photos), size)))

        def run(count: int) -> None:
            for _ in lanes.map(engine, repeat(batch, -(-count // size))):
                pass

        return measured_rate(run, seconds / len(BATCHES), step=size * engine.workers)

    with ThreadPoolExecutor(engine.workers) as lanes:
        return max(rate(size) for size in BATCHES)


def measured_rate(run: Callable[[int], None], seconds: float, *, step: int = 1) -> float:
    """How many a second ``run(count)`` does, over a count that takes about ``seconds``; the first steps warm up."""
    run(step)
    count = max(step, round(step / _time(run, step) * seconds / step) * step)
    return count / _time(run, count)


def _time(run: Callable[[int], None], count: int) -> float:
    start = perf_counter()
    run(count)
    return perf_counter() - start
