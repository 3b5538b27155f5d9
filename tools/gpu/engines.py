"""Measure the network alone on a GPU, in each precision: whether it predicts the same as the CPU, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from hierpets.export.parity import Parity, measure_parity
from hierpets.inference.engines.base import Engine, RawOutput, warm_up
from hierpets.inference.predictor import Predictor

__all__ = ["BATCH", "BATCHES_OF", "ROUNDS", "Row", "by_batch", "failures", "measure", "timed"]

BATCH, BATCHES, SINGLES = 32, 24, 50
BATCHES_OF = tuple(2**power for power in range(10))
PHOTOS_OF = 2048  # photos per batch size
ROUNDS = 8  # how often each photo is predicted: otherwise, few photos would hardly give more batches than threads


@dataclass(frozen=True)
class Row:
    """Results of one configuration. Times are of the network alone, copies included; ``stream`` is the whole
    prediction.
    """

    config: str
    parity: Parity
    first_ms: float  # the first call, including what it initializes
    latency_ms: float  # median at batch 1
    alone: float  # photos per second at batch 32, one batch after the other
    overlapped: float  # the same with several batches in flight
    stream: float  # photos per second, decoding included
    unmixed: bool  # batches in flight had the same results as one after the other
    memory_mb: float


def measure(config: str, predictor: Predictor, reference: Predictor, photos: Sequence[str]) -> Row:
    """Measure one configuration on photos; the first call, which initializes much, is timed separately."""
    engine, size = predictor.engine, predictor.manifest.preprocess.size
    _forget_peak()
    _, first = timed(lambda: warm_up(engine, size, times=1))
    warm_up(engine, size)
    warm_up(engine, size, batch_size=BATCH)
    one, several = _noise(size, 1, SINGLES), _noise(size, BATCH, BATCHES)
    latency = statistics.median(timed(partial(engine, batch))[1] for batch in one)
    apart, alone = timed(lambda: [engine(batch) for batch in several])
    _in_flight(engine, several)  # allocates the pinned memory of all batches in flight, which is slow
    together, overlapped = timed(lambda: _in_flight(engine, several))
    predictor.predict(photos)  # initializes batches of every size
    many = [*photos] * ROUNDS
    return Row(
        config=config,
        parity=measure_parity(reference, predictor, photos),
        first_ms=first * 1e3,
        latency_ms=latency * 1e3,
        alone=BATCH * BATCHES / alone,
        overlapped=BATCH * BATCHES / overlapped,
        stream=len(many) / timed(lambda: predictor.predict(many))[1],
        unmixed=all(_alike(a, b) for a, b in zip(apart, together, strict=True)),
        memory_mb=torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0,
    )


def failures(rows: Sequence[Row]) -> list[str]:
    """Return one sentence for each failed check. No row may be slower than the first one."""
    first = rows[0]
    wrong = [f"{row.config}: {row.parity.words()}" for row in rows if not row.parity.holds]
    wrong += [f"{row.config}: batches in flight differ from the same batches alone" for row in rows if not row.unmixed]
    wrong += [
        f"{row.config}: {row.overlapped:.0f} photos/s with copies overlapped, {row.alone:.0f} without"
        for row in rows
        if row.overlapped < 0.95 * row.alone
    ]
    wrong += [
        f"{row.config}: {row.overlapped:.0f} photos/s, no more than {first.overlapped:.0f} in {first.config}"
        for row in rows[1:]
        if row.overlapped < first.overlapped
    ]
    return wrong


def by_batch(predictor: Predictor) -> dict[int, float]:
    """Measure the photos per second of the network, copies overlapped, by batch size."""
    engine, size = predictor.engine, predictor.manifest.preprocess.size
    found = {}
    for batch in BATCHES_OF:
        photos = _noise(size, batch, min(4, PHOTOS_OF // batch))
        times = max(2, min(200, PHOTOS_OF // batch) // len(photos))
        _in_flight(engine, photos * 2)
        _, seconds = timed(partial(_in_flight, engine, photos * times))
        found[batch] = batch * len(photos) * times / seconds
    return found


def _in_flight(engine: Engine, batches: Sequence[np.ndarray]) -> list[RawOutput]:
    with ThreadPoolExecutor(engine.workers) as workers:
        return list(workers.map(engine, batches))


def _alike(a: RawOutput, b: RawOutput) -> bool:
    # cuDNN may sum in another order; rows of different photos differ by more than this.
    return all(np.allclose(x, y, rtol=1e-2, atol=1e-2 * np.abs(x).max()) for x, y in zip(a, b, strict=True))


def _noise(size: int, batch: int, count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, size=(batch, size, size, 3), dtype=np.uint8) for _ in range(count)]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of ``work``, and its seconds."""
    started = time.perf_counter()
    done = work()  # an engine returns arrays, so the GPU has finished by then
    return done, time.perf_counter() - started


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
