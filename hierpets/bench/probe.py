"""One measurement in a process of its own: ``python -m hierpets.bench.probe``, a job as JSON in, numbers as JSON out.

Each engine and precision has its process, so that none finds the libraries, the memory or the threads of another.
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

__all__ = ["probe"]

WARM_UP = 8  # photos
STAGE_PHOTOS = 20
MOST_LATENCIES = 500


def probe(job: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Measure one engine and precision: milliseconds, photos a second, MB.

    ``job``: ``model`` and ``registry`` (paths or None), ``engine``, ``precision``, ``options`` (what else
    :func:`hierpets.load` is given), ``photos`` (paths), ``seconds`` (of each measurement), ``started`` (``time.time()``
    just before this process was).

    :raises HierpetsError: the bundle, the engine or the precision is not to be had, or a photo cannot be read.
    """
    began = perf_counter()
    from hierpets.inference.predictor import load
    from hierpets.registry.loading import load_registry

    registry = load_registry(Path(job["registry"]) if job["registry"] else None)
    chosen = {"engine": job["engine"], "precision": job["precision"]} | job["options"]
    predictor = load(job["model"], registry=registry, **chosen)
    start = {"load": 1000 * (perf_counter() - began)}
    paths, seconds = job["photos"], job["seconds"]
    answer(predictor, paths[:1])
    start["first_answer"] = 1000 * (time.time() - job["started"])
    latency, throughput = time_answers(predictor, paths, seconds)
    peak = peak_memory_mb()  # before what follows, which holds photos that nobody else would

    from hierpets.bench.alone import decode_rate, network_rate
    from hierpets.bench.stages import time_stages
    from hierpets.recommend.choose import Recommender

    preprocess = predictor.manifest.preprocess
    return {
        "start": start,
        "stages": time_stages(predictor, Recommender.load(registry), paths[:STAGE_PHOTOS]),
        "latency": latency,
        "rates": {
            "throughput": throughput,
            "decode": decode_rate(preprocess, paths, seconds),
            "network": network_rate(predictor.engine, preprocess, paths, seconds),
        },
        "memory": {} if peak is None else {"peak": peak},
    }


def answer(predictor: Predictor, paths: Iterable[str]) -> None:
    """Answer photos, and accept none that cannot be read."""
    for prediction in predictor.predict(paths):
        if prediction.error is not None:
            raise prediction.error


def time_answers(predictor: Predictor, paths: Sequence[str], seconds: float) -> tuple[dict[str, float], float]:
    """Latency of photos that come one at a time (ms), and the throughput when they all come at once (photos/s)."""
    answer(predictor, paths[:WARM_UP])
    latencies: list[float] = []
    end = perf_counter() + seconds
    for path in islice(cycle(paths), MOST_LATENCIES):
        start = perf_counter()
        answer(predictor, [path])
        latencies.append(1000 * (perf_counter() - start))
        if perf_counter() > end and len(latencies) >= WARM_UP:
            break
    latency = percentiles(latencies)
    count = max(WARM_UP, round(1000 * seconds / latency["p50"]))
    start = perf_counter()
    answer(predictor, islice(cycle(paths), count))
    return latency, count / (perf_counter() - start)


def main() -> None:
    """Read a job from standard input and write its numbers, or its error, to standard output."""
    try:
        result: dict[str, Any] = probe(json.load(sys.stdin))
    except HierpetsError as error:
        result = {"error": {"type": type(error).__name__, "message": str(error)}}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
