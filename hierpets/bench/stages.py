"""What each stage of a photo's way takes, one photo after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import TypeVar

from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply
from hierpets.hierarchy.decision import Scores, decide
from hierpets.inference.predictor import Predictor
from hierpets.recommend.choose import Recommender

__all__ = ["STAGES", "time_stages"]

STAGES = ("decode", "preprocess", "network", "decision", "recommendation")

T = TypeVar("T")


def time_stages(predictor: Predictor, recommender: Recommender, paths: Sequence[str]) -> dict[str, float]:
    """Median milliseconds a photo of each of :data:`STAGES`; the first photo warms up and is left out.

    Decoding includes reading the file.
    """
    seconds = [_walk(predictor, recommender, path) for path in (paths[0], *paths)][1:]
    return {stage: 1000 * median(row[n] for row in seconds) for n, stage in enumerate(STAGES)}


def _walk(predictor: Predictor, recommender: Recommender, path: str) -> list[float]:
    manifest = predictor.manifest
    seconds: list[float] = []

    def timed(step: Callable[[], T]) -> T:
        start = perf_counter()
        result = step()
        seconds.append(perf_counter() - start)
        return result

    photo = timed(lambda: read_photo(path, shorter_side=manifest.preprocess.decoded_side))
    planes = timed(lambda: apply(manifest.preprocess, photo))
    output = timed(lambda: predictor.engine(planes[None]))
    scores = Scores(*output.scores[0].tolist()) if manifest.ood else None
    joint, decision = timed(
        lambda: (
            joint := predictor.joint(output)[0],
            decide(joint, manifest.taxonomy, manifest.policy, scores=scores),
        )
    )
    timed(lambda: recommender.recommend(joint, manifest.taxonomy, decision.level).record())
    return seconds
