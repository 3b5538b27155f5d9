"""Measures the time of each stage of prediction, one photo after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from time import perf_counter

from hierpets.inference.predictor import Predictor
from hierpets.inference.stages import STAGES as PREDICTION_STAGES
from hierpets.inference.stages import Decided, prediction_stages

__all__ = ["STAGES", "time_stages"]

STAGES = (*PREDICTION_STAGES, "recommendation")


def time_stages(predictor: Predictor, paths: Sequence[str]) -> dict[str, float]:
    """Measure the median milliseconds per photo of each of :data:`STAGES`, after a warm-up with the first photo.

    Decoding includes reading the file. The predictor must recommend products.
    """
    seconds = [_time_photo(predictor, path) for path in (paths[0], *paths)][1:]
    return {stage: 1000 * median(row[n] for row in seconds) for n, stage in enumerate(STAGES)}


def _time_photo(predictor: Predictor, path: str) -> list[float]:
    """Measure the seconds of each stage."""
    assert predictor.adviser is not None
    recommender = predictor.adviser.recommender
    times, results = [perf_counter()], []
    for result in prediction_stages(predictor, path):
        results.append(result)
        times.append(perf_counter())
    decided = results[-1]
    assert isinstance(decided, Decided)
    recommender.recommend(decided.joint, predictor.manifest.taxonomy, decided.decision.level).record()
    times.append(perf_counter())
    return [after - before for before, after in pairwise(times)]
