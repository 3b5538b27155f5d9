"""Predict a stream of photos in batches: a few worker threads each decode, run and finish a batch; order is kept.

On the CPU, a worker computes on its own core, and a photo leaves its thread only when it is finished. Compared with a
pool of decoders that feeds OpenVINO's AsyncInferQueue, workers that share one graph take the same time per photo, and
workers with a graph of their own a quarter less. Besides, creating that queue for each call corrupts the heap of the
process (OpenVINO 2026.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import TypeVar

from hierpets.data.photos import NamedPhoto
from hierpets.inference.engines.base import Engine
from hierpets.workers import run_in_order

__all__ = ["run_batches"]

AHEAD = 4  # batches per worker that may finish before the oldest one does; only their small results are kept

R = TypeVar("R")


def run_batches(
    photos: Iterable[NamedPhoto],
    run: Callable[[Sequence[NamedPhoto]], R],
    engine: Engine,
    batch_size: int | None,
    live: Callable[[], bool],
) -> Iterator[R]:
    """Yield the result of ``run`` for each batch, in the order of the photos. These may be endless: few are read ahead.

    ``run`` does all the work of a batch in one worker: another thread for the last steps would take a core from the
    workers. ``batch_size`` defaults to the engine's, or less if there would not be a batch for every worker. A batch is
    run before it is full if ``live`` says that the next photo is still to come, or if ``photos`` raises.
    """
    batches = _in_batches(photos, batch_size or _batch_size(photos, engine), live)
    ahead = AHEAD * engine.workers
    for done in run_in_order(run, batches, workers=engine.workers, ahead=ahead, live=live, name="predict"):
        yield done.result()


def _batch_size(photos: Iterable[NamedPhoto], engine: Engine) -> int:
    if not isinstance(photos, Sized):
        return engine.batch
    return max(1, min(engine.batch, math.ceil(len(photos) / engine.workers)))


def _in_batches(photos: Iterable[NamedPhoto], size: int, live: Callable[[], bool]) -> Iterator[list[NamedPhoto]]:
    batch: list[NamedPhoto] = []
    try:
        for photo in photos:
            batch.append(photo)
            if len(batch) == size or live():
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
