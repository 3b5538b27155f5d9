"""One measurement in a process of its own: ``python -m hierpets.bench.probe`` reads a job and writes numbers, as JSON.

A fresh process has none of the libraries, memory or threads of another engine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, get_args

from hierpets.bench.memory import peak_memory_mb
from hierpets.bench.numbers import percentiles
from hierpets.errors import HierpetsError

if TYPE_CHECKING:
    from hierpets.inference.predictor import Predictor

__all__ = ["MODES", "Mode", "probe"]

Mode = Literal["single", "stream"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""``single``: photos come one at a time, and each gets all cores; ``stream``: many photos, each on its own core."""

WARM_UP = 8  # photos
STAGE_PHOTOS = 20
MAX_LATENCIES = 500

Numbers = dict[str, dict[str, float]]


def probe(job: dict[str, Any]) -> Numbers:
    """Measure one engine and precision in one of :data:`MODES`: milliseconds, photos per second, MB.

    ``job`` has the keys ``mode``, ``model`` and ``registry`` (paths or None), ``engine``, ``precision``, ``options``
    (further keywords of :func:`hierpets.load`), ``photos`` (paths), ``seconds`` (per measurement) and ``started``
    (``time.time()`` just before this process was started).

    :raises HierpetsError: the bundle, the engine or the precision is not available, or a photo cannot be read.
    """
    began = perf_counter()
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry
    from hierpets.workers import cores

    registry = load_registry(Path(job["registry"]) if job["registry"] else None)
    chosen = {"engine": job["engine"], "precision": job["precision"]} | job["options"]
    workers = cores() if job["mode"] == "stream" else 1
    predictor = load(job["model"], registry=registry, workers=workers, **chosen)
    loaded = 1000 * (perf_counter() - began)
    paths, seconds = job["photos"], job["seconds"]
    if job["mode"] == "stream":
        return probe_stream(predictor, paths, seconds)
    predict_all(predictor, paths[:1])
    start = {"load": loaded, "first_answer": 1000 * (time.time() - job["started"])}
    return {"start": start, **probe_single(predictor, paths, seconds)}


def probe_single(predictor: Predictor, paths: Sequence[str], seconds: float) -> Numbers:
    """Measure latency from path to prediction, peak memory, and the time of each stage."""
    predict_all(predictor, paths[:WARM_UP])
    latencies: list[float] = []
    end = perf_counter() + seconds
    for path in islice(cycle(paths), MAX_LATENCIES):
        start = perf_counter()
        predict_all(predictor, [path])
        latencies.append(1000 * (perf_counter() - start))
        if perf_counter() > end and len(latencies) >= WARM_UP:
            break
    memory = peak_memory()  # before the import below adds to it
    from hierpets.bench.stages import time_stages

    stages = time_stages(predictor, paths[:STAGE_PHOTOS])
    return {"stages": stages, "latency": percentiles(latencies), "memory": memory}


def probe_stream(predictor: Predictor, paths: Sequence[str], seconds: float) -> Numbers:
    """Measure throughput, peak memory, and the rate of each part alone."""
    from hierpets.bench.isolated import (
        decode_rate,
        measured_rate,
        network_rate,
        recommendation_rate,
        second_look_rate,
    )

    predict_all(predictor, paths)  # all of them, to also load what only a few photos need, such as the detector
    engine = predictor.engine
    throughput = measured_rate(
        lambda count: predict_all(predictor, islice(cycle(paths), count)),
        seconds,
        step=4 * engine.workers * engine.batch,
    )
    memory = peak_memory()
    preprocess = predictor.manifest.preprocess
    rates = {
        "throughput": throughput,
        "decode": decode_rate(preprocess, paths, seconds),
        "network": network_rate(engine, preprocess, paths, seconds),
    }
    optional = {
        "second_look": second_look_rate(predictor.cascade, paths, seconds),
        "recommendation": recommendation_rate(predictor, paths, seconds),
    }
    rates |= {name: rate for name, rate in optional.items() if rate is not None}
    return {"rates": rates, "stream_memory": memory}


def peak_memory() -> dict[str, float]:
    """Peak resident memory of this process in MB; empty if the system does not report it."""
    peak = peak_memory_mb()
    return {} if peak is None else {"peak": peak}


def predict_all(predictor: Predictor, paths: Iterable[str]) -> None:
    """Predict photos.

    :raises ImageError: one cannot be read.
    """
    for prediction in predictor.stream(paths):
        if prediction.error is not None:
            raise prediction.error


def main() -> None:
    """Read a job from standard input and write its numbers, or its error, to standard output."""
    try:
        result: dict[str, Any] = probe(json.load(sys.stdin))
    except HierpetsError as error:
        result = {"error": {"type": type(error).__name__, "message": str(error)}}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
