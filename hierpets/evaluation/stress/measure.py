"""Predict some labeled photos under every corruption, and compare the scores with those of the unchanged photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import numpy as np

from hierpets.data.labeled.split import draw_evenly
from hierpets.data.photos import NamedPhoto, read_photo
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.errors import DataError, ImageError
from hierpets.evaluation.metrics.levels import LevelPredictions, breed_level, species_level
from hierpets.evaluation.metrics.resampling import mean_difference
from hierpets.evaluation.metrics.schema import StressMean, StressMetrics, StressScores, StressStep
from hierpets.evaluation.metrics.selective import selective_metrics
from hierpets.evaluation.predictions import Predictions
from hierpets.evaluation.stress.corruptions import CORRUPTIONS, SIDE, STEPS, Corruption, limit_shorter_side
from hierpets.progress import Progress, no_progress

__all__ = ["PHOTOS", "Predict", "measure_stress"]

PHOTOS = 200  # maximum number drawn; with 27 corruptions, they take about two minutes on two cores

Predict = Callable[[PhotoIndex, Iterable[NamedPhoto]], Predictions]
"""Predicts changed versions of the photos of an index, given as pixels, in order."""


def measure_stress(
    predict: Predict,
    index: PhotoIndex,
    *,
    photos: int = PHOTOS,
    progress: Progress = no_progress,
    resamples: int = 1000,
) -> StressMetrics:
    """Measure how corruptions change the predictions of at most ``photos`` photos.

    :raises DataError: none of the photos can be read.
    """
    pixels = _read(index, photos)
    drawn = replace(index, records=tuple(pixels))
    total = len(drawn) * (1 + len(CORRUPTIONS))
    progress("stress test", 0, total)
    unchanged = predict(drawn, (NamedPhoto(record.path, photo) for record, photo in pixels.items()))
    corrupted: dict[Corruption, Predictions] = {}
    for corruption in CORRUPTIONS:
        progress("stress test", len(drawn) * (1 + len(corrupted)), total)
        corrupted[corruption] = predict(drawn, (NamedPhoto(r.path, corruption(photo)) for r, photo in pixels.items()))
    progress("stress test", total, total)
    return StressMetrics(
        n=len(drawn),
        side=SIDE,
        unchanged=_scores(unchanged),
        mean=tuple(_mean(unchanged, _at(corrupted, step), step, resamples) for step in range(1, STEPS + 1)),
        steps=tuple(
            StressStep(kind=c.kind, step=c.step, setting=c.setting, **dict(_scores(found)))
            for c, found in corrupted.items()
        ),
    )


def _read(index: PhotoIndex, photos: int) -> dict[PhotoRecord, np.ndarray]:
    """Draw photos and read their pixels; skips unreadable ones, which are reported elsewhere."""

    def readable() -> Iterable[tuple[PhotoRecord, np.ndarray]]:
        for record in draw_evenly(index):
            with suppress(ImageError):
                yield record, limit_shorter_side(read_photo(record.path, shorter_side=SIDE), SIDE)

    pixels = dict(islice(readable(), photos))
    if not pixels:
        raise DataError("stress test: none of the photos can be read")
    return pixels


def _at(corrupted: Mapping[Corruption, Predictions], step: int) -> list[Predictions]:
    return [found for corruption, found in corrupted.items() if corruption.step == step]


def _scores(predictions: Predictions) -> StressScores:
    breed, selective = breed_level(predictions), selective_metrics(predictions)
    return StressScores(
        species=species_level(predictions).hit.mean(),
        breed=breed.hit.mean() if breed else None,
        named=selective.answers.breed,
        holds_truth=selective.node.holds_truth,
        unknown=selective.answers.unknown,
    )


def _mean(unchanged: Predictions, corrupted: list[Predictions], step: int, resamples: int) -> StressMean:
    """Average the scores at one step over all kinds. Losses are paired by photo before they are resampled."""
    scores = [_scores(found) for found in corrupted]
    losses = _finest(unchanged).hit - np.mean([_finest(found).hit for found in corrupted], axis=0)
    groups = _finest(unchanged).groups
    loss, interval = mean_difference(losses, resamples=resamples, groups=groups)

    def mean(name: str) -> float | None:
        found = [value for one in scores if (value := getattr(one, name)) is not None]
        return float(np.mean(found)) if found else None

    means = {name: mean(name) for name in StressScores.model_fields}
    return StressMean(step=step, loss=loss, loss_interval=interval, **means)


def _finest(predictions: Predictions) -> LevelPredictions:
    return breed_level(predictions) or species_level(predictions)
