"""Measures the parts of prediction in isolation, each with all cores: together they bound the throughput."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from time import perf_counter
from typing import TypeVar

import numpy as np

from hierpets.data.photos import DEFAULT_LIMITS
from hierpets.data.transforms import read_square
from hierpets.inference.batch import bystander_search
from hierpets.inference.engines.base import Engine
from hierpets.inference.engines.cascade import Cascade, StageOutput
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.plugin import Preprocess
from hierpets.workers import cores

__all__ = ["decode_rate", "measured_rate", "network_rate", "recommendation_rate", "second_look_rate"]

BATCHES = (1, 4, 16)
WARM_UP = 4  # photos per decoding thread, for warming up and a first estimate

T = TypeVar("T")


def decode_rate(preprocess: Preprocess, paths: Sequence[str], seconds: float) -> float:
    """Measure how many photos per second one thread per core reads, decodes and preprocesses."""

    def load(path: str) -> None:
        read_square(path, preprocess)

    return _rate_of(load, paths, seconds, workers=cores(), step=WARM_UP * cores())


def network_rate(engine: Engine, preprocess: Preprocess, paths: Sequence[str], seconds: float) -> float:
    """Measure photos per second through the network alone: its workers run preprocessed batches of the fastest size."""
    photos = [read_square(path, preprocess) for path in paths[: max(BATCHES)]]

    def rate(size: int) -> float:
        batch = np.stack(list(islice(cycle(photos), size)))
        return size * _rate_of(engine, [batch], seconds / len(BATCHES), workers=engine.workers, step=engine.workers)

    return max(rate(size) for size in BATCHES)


def second_look_rate(cascade: Cascade, paths: Sequence[str], seconds: float) -> float | None:
    """Measure photos per second of the second looks alone, given the outputs of the networks; None if the bundle has no
    second look. All photos count, but only doubtful ones are looked at again.
    """
    if cascade.second_look is None:
        return None
    engine = cascade.engines[-1]
    batches = [list(paths[first : first + engine.batch]) for first in range(0, len(paths), engine.batch)]

    def first_look(batch: list[str]) -> list[StageOutput]:
        return list(cascade.run_stages([cascade.squares(cascade.decode(path)) for path in batch]))

    def look_again(looked_at: tuple[list[str], list[StageOutput]]) -> None:
        batch, stages = looked_at
        cascade.finish(stages, lambda row: cascade.decode_again(batch[row]))

    with ThreadPoolExecutor(engine.workers) as workers:
        outputs = list(zip(batches, workers.map(first_look, batches), strict=True))
    per_batch = len(paths) / len(batches)
    return per_batch * _rate_of(look_again, outputs, seconds, workers=engine.workers, step=len(batches))


def recommendation_rate(predictor: Predictor, paths: Sequence[str], seconds: float) -> float | None:
    """Measure photos per second of the recommendations alone, given the predictions: the rules, and the search of some
    photos for other animals before a product that harms them. None if the predictor does not recommend.
    """
    adviser = predictor.adviser
    if adviser is None:
        return None
    predictions = list(predictor.stream(paths))

    def advise(prediction: Prediction) -> None:
        search = bystander_search(predictor.bystanders, predictor.cascade, prediction.path, DEFAULT_LIMITS)
        adviser(prediction, search=search, explain=False)

    return _rate_of(advise, predictions, seconds, workers=predictor.engine.workers, step=len(predictions))


def _rate_of(work: Callable[[T], object], items: Sequence[T], seconds: float, *, workers: int, step: int) -> float:
    """Measure how many items per second some threads work on, over and over again; ``step`` as in
    :func:`measured_rate`.
    """
    with ThreadPoolExecutor(workers) as pool:

        def run(count: int) -> None:
            for _ in pool.map(work, islice(cycle(items), count)):
                pass

        return measured_rate(run, seconds, step=step)


def measured_rate(run: Callable[[int], None], seconds: float, *, step: int = 1) -> float:
    """Measure items per second of ``run(count)``, with a count that takes about ``seconds``, after a warm-up."""
    run(step)
    count = max(step, round(step / _time(run, step) * seconds / step) * step)
    return count / _time(run, count)


def _time(run: Callable[[int], None], count: int) -> float:
    start = perf_counter()
    run(count)
    return perf_counter() - start
