"""Answer a labeled data set, ready to be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hierpets.data.index import PhotoIndex, read_index, split_index
from hierpets.data.listing import find_photos
from hierpets.errors import ConfigError, DataError
from hierpets.evaluation.predictions import OODPredictions, Predictions, to_predictions
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.model.manifest import Manifest
from hierpets.progress import Progress, no_progress

__all__ = ["predict_index", "predict_ood", "read_labeled"]


def read_labeled(data: str, manifest: Manifest, *, split: str | None = None) -> PhotoIndex:
    """The photos to measure a bundle on, their labels in the order of its taxonomy.

    Without ``split``: the test photos where the data names some, else all. ``val`` of data that names no split is the
    part that training held out of the same photos.

    :raises DataError: no photos in that split, or a label that the bundle does not know.
    """
    index = read_index(data, taxonomy=manifest.taxonomy)
    if split == "val":
        index = split_index(
            index, seed=manifest.training.get("seed", 0), val=manifest.training.get("val_fraction", 0.15)
        )
    wanted = split or ("test" if any(record.split == "test" for record in index.records) else "all")
    chosen = index.subset(wanted)
    if not len(chosen):
        raise DataError(f"{data}: no photos in split {wanted!r}")
    return chosen


def predict_ood(predictor: Predictor, folder: str) -> OODPredictions:
    """The answers to a folder of photos that show no known pet, in subfolders by kind or not; unreadable ones left out.

    :raises ConfigError: the bundle has no score to tell strangers by.
    """
    if predictor.manifest.ood is None:
        raise ConfigError("this bundle has no novelty score, so --not-pets cannot be measured; train it again")
    paths = find_photos(folder)
    answers = [answer for answer in predictor.stream(paths) if answer.scores and answer.decision]
    return OODPredictions(
        paths=tuple(answer.path for answer in answers),
        novelty=np.array([-answer.scores.pet for answer in answers if answer.scores]),
        level=np.array([answer.decision.level for answer in answers if answer.decision]),
        kind=tuple(Path(answer.path).parent.name for answer in answers),
    )


def predict_index(
    predictor: Predictor, index: PhotoIndex, *, progress: Progress = no_progress
) -> tuple[Predictions, list[Prediction]]:
    """The answers to every photo that can be read, beside their labels; and those that cannot."""
    answers = []
    for answer in predictor.stream(index.paths):
        answers.append(answer)
        progress("photos", len(answers), len(index))
    read = np.array([answer.error is None for answer in answers])
    if not read.any():
        raise DataError(f"none of the {len(answers)} photos can be read; the first: {answers[0].error}")
    kept = replace(index, records=tuple(r for r, ok in zip(index.records, read, strict=True) if ok))
    good = [answer for answer in answers if answer.error is None]
    joint = np.stack([answer.joint for answer in good if answer.joint is not None])
    decisions = [answer.decision for answer in good if answer.decision is not None]
    novelty = np.array([-a.scores.pet for a in good if a.scores]) if predictor.manifest.ood else None
    predictions = to_predictions(kept.paths, kept.labels(), joint, decisions, taxonomy=index.taxonomy, novelty=novelty)
    return predictions, [answer for answer in answers if answer.error is not None]
