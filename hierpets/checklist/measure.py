"""Measure what two items need: a backbone with random weights, and the engines side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.measured import EngineGap, RunMeasurements
from hierpets.data.listing import evenly
from hierpets.data.records import PhotoIndex
from hierpets.inference.engines.base import choose_device
from hierpets.inference.loading import load
from hierpets.planning.pretraining import compare_random
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.training.splits import prepare_index

__all__ = ["compare_engines", "measure_run"]

PHOTOS = 32


def measure_run(run: RunEvidence, registry: Registry, *, progress: Progress = no_progress) -> RunMeasurements:
    """Measure what ``RUN/measured.json`` holds."""
    index = prepare_index(run.config, registry)
    # The device of this machine: the run may come from another.
    device, photos = choose_device("auto"), index.subset("train")
    found = compare_random(run.manifest.backbone, photos, run.config, registry, device=device, progress=progress)
    skipped = isinstance(found, str)
    return RunMeasurements(
        model=run.model,
        random_backbone=None if skipped else found,
        skipped=found if skipped else None,
        engines=compare_engines(run.bundle, index, registry),
    )


def compare_engines(bundle: Path, index: PhotoIndex, registry: Registry) -> EngineGap:
    """Return the largest difference of a leaf's probability between torch and OpenVINO, and between a photo alone and
    in a batch. All in float32: rounding to other formats alone would make a difference.
    """
    paths = evenly(index.paths, PHOTOS)
    joints = [
        _joint(bundle, paths, registry, engine=engine, batch_size=batch)
        for engine, batch in (("torch", 8), ("openvino", 8), ("openvino", 1))
    ]
    gaps = [float(np.abs(joint - joints[0]).max()) for joint in joints[1:]]
    return EngineGap(photos=len(paths), largest=max(gaps))


def _joint(bundle: Path, paths: list[str], registry: Registry, *, engine: Any, batch_size: int) -> np.ndarray:
    predictor = load(bundle, engine=engine, device="cpu", precision="f32", registry=registry, recommend=False)
    predictions = predictor.stream(paths, batch_size=batch_size)
    return np.stack([prediction.joint for prediction in predictions if prediction.joint is not None])
