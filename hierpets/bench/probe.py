"""One measurement in a process of its own: ``python -m hierpets.bench.probe``, a job as JSON in, numbers as JSON out.

Each engine and precision has its processes, so that none finds the libraries, the memory or the threads of another.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hierpets.bench.memory import peak_memory_mb
from hierpets.bench.numbers import percentiles
from hierpets.errors import HierpetsError

if TYPE_CHECKING:
    from hierpets.inference.predictor import Predictor
    from hierpets.registry.loading import Registry

__all__ = ["WAYS", "probe"]

WAYS = ("single", "stream")
"""Photos that come one at a time, each with all cores; and many photos, each with a core of its own."""

WARM_UP = 8  # photos
STAGE_PHOTOS = 20
MOST_LATENCIES = 500

Numbers = dict[str, dict[str, float]]


def probe(job: dict[str, Any]) -> Numbers:
    """Measure one engine and precision in one of :data:`WAYS`: milliseconds, photos a second, MB.

    ``job``: ``way``, ``model`` and ``registry`` (paths or None), ``engine``, ``precision``, ``options`` (what else
    :func:`hierpets.load` is given), ``photos`` (paths), ``seconds`` (of each measurement), ``started`` (``time.time()``
    just before this process was).

    :raises HierpetsError: the bundle, the engine or the precision is not to be had, or a photo cannot be read.
    """
    began = perf_counter()
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry
    from hierpets.workers import cores

    registry = load_registry(Path(job["registry"]) if job["registry"] else None)
    chosen = {"engine": job["engine"], "precision": job["precision"]} | job["options"]
    streams = cores() if job["way"] == "stream" else 1
    predictor = load(job["model"], registry=registry, workers=streams, **chosen)
    loaded = 1000 * (perf_counter() - began)
    paths, seconds = job["photos"], job["seconds"]
    if job["way"] == "stream":
        return probe_stream(predictor, paths, seconds)
    answer(predictor, paths[:1])
    start = {"load": loaded, "first_answer": 1000 * (time.time() - job["started"])}
    return {"start": start, **probe_single(predictor, registry, paths, seconds)}


def probe_single(predictor: Predictor, registry: Registry, paths: Sequence[str], seconds: float) -> Numbers:
    """Latency from path to answer, peak memory, and then the stages."""
    answer(predictor, paths[:WARM_UP])
    latencies: list[float] = []
    end = perf_counter() + seconds
    for path in islice(cycle(paths), MOST_LATENCIES):
        start = perf_counter()
        answer(predictor, [path])
        latencies.append(1000 * (perf_counter() - start))
        if perf_counter() > end and len(latencies) >= WARM_UP:
            break
    memory = peak_memory()  # before what follows, which loads more
    from hierpets.bench.stages import time_stages
    from hierpets.recommend.choose import Recommender

    stages = time_stages(predictor, Recommender.load(registry), paths[:STAGE_PHOTOS])
    return {"stages": stages, "latency": percentiles(latencies), "memory": memory}


def probe_stream(predictor: Predictor, paths: Sequence[str], seconds: float) -> Numbers:
    """Throughput, peak memory, and then what decoding and the network reach alone."""
    from hierpets.bench.isolated import decode_rate, measured_rate, network_rate

    answer(predictor, paths[:WARM_UP])
    engine = predictor.engine
    throughput = measured_rate(
        lambda count: answer(predictor, islice(cycle(paths), count)), seconds, step=4 * engine.workers * engine.batch
    )
    memory = peak_memory()
    preprocess = predictor.manifest.preprocess
    rates = {
        "throughput": throughput,
        "decode": decode_rate(preprocess, paths, seconds),
        "network": network_rate(engine, preprocess, paths, seconds),
    }
    return {"rates": rates, "stream_memory": memory}


def peak_memory() -> dict[str, float]:
    peak = peak_memory_mb()
    return {} if peak is None else {"peak": peak}


def answer(predictor: Predictor, paths: Iterable[str]) -> None:
    """Answer photos, and accept none that cannot be read."""
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
