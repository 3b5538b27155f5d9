"""The two items that take computing: features of a random backbone, and the engines against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.measured import EngineGap, PretrainedGain, RunMeasurements
from hierpets.config import HeadSpec, TrainConfig
from hierpets.data.index import PhotoIndex
from hierpets.inference.loading import load
from hierpets.model.manifest import Manifest
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.training.frozen.candidates import cross_validate
from hierpets.training.frozen.feature_set import FeatureSet
from hierpets.training.frozen.features import FeatureExtractor
from hierpets.training.frozen.fit import HeadFitter, assign_folds
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.score import Score
from hierpets.training.splits import prepare_index

__all__ = ["compare_engines", "compare_random", "measure_run"]

PHOTOS = 32


def measure_run(run: RunEvidence, registry: Registry, *, progress: Progress = no_progress) -> RunMeasurements:
    """What ``RUN/measured.json`` holds."""
    index = prepare_index(run.config, registry)
    found = compare_random(run.config, run.manifest, index, registry, progress=progress)
    skipped = isinstance(found, str)
    return RunMeasurements(
        model=run.model,
        random_backbone=None if skipped else found,
        skipped=found if skipped else None,
        engines=compare_engines(run.folder / "bundle", index, registry),
    )


def compare_random(
    config: TrainConfig,
    manifest: Manifest,
    index: PhotoIndex,
    registry: Registry,
    *,
    progress: Progress = no_progress,
) -> PretrainedGain | str:
    """Balanced accuracy out of fold, on the training photos, of heads on pretrained features and on random ones.

    The same backbone plugin, the same photos, the same folds and heads: only the weights differ. Where pretrained
    features are no better, the photos are unlike those that the weights come from. A sentence says why there is nothing
    to compare.
    """
    plugin = registry.get("backbone", manifest.backbone.name)
    if "pretrained" not in plugin.option_names:
        return f"backbone {plugin.name!r} has no option `pretrained` to turn off"
    pretrained = _extractor(plugin.call, manifest, pretrained=True, seed=config.seed)
    photos = _readable(index.subset("train"), pretrained, progress)
    scores: dict[str, Score] = {}
    random = _extractor(plugin.call, manifest, pretrained=False, seed=config.seed)
    for name, extractor in (("pretrained", pretrained), ("random", random)):
        features = extractor.features(photos.paths, task=f"{name} features", progress=progress)
        score = _score(features, photos, config, registry)
        if score is None:
            return "too few photos of a class to cross-validate"
        scores[name] = score
    return PretrainedGain(
        level="species" if scores["random"].breed is None else "breed",
        photos=len(photos),
        pretrained=scores["pretrained"].accuracy,
        random=scores["random"].accuracy,
    )


def _extractor(call: Callable[..., Any], manifest: Manifest, *, pretrained: bool, seed: int) -> FeatureExtractor:
    import torch

    torch.manual_seed(seed)  # random weights are the same each time, so that their features are found in the cache
    return FeatureExtractor(call(**manifest.backbone.options | {"pretrained": pretrained}))


def _readable(photos: PhotoIndex, extractor: FeatureExtractor, progress: Progress) -> PhotoIndex:
    """The photos without those that the training skipped as well."""
    skipped = extractor.unreadable(photos.paths, progress=progress)
    return replace(photos, records=tuple(record for record in photos.records if record.path not in skipped))


def _score(features: np.ndarray, photos: PhotoIndex, config: TrainConfig, registry: Registry) -> Score | None:
    labels = photos.labels()
    weights = registry.get("sampler", config.sampler).call(labels, **config.sampler_options)
    folds = assign_folds(labels, folds=config.folds, seed=config.seed)
    # Random features have scales that differ by orders of magnitude; standardized, both sets meet the same heads.
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled_photos = FeatureSet(scaled, scaled, labels, weights, photos.taxonomy)
    parts = collect_statistics(scaled_photos, None, folds)
    return cross_validate(scaled_photos, parts, folds, HeadFitter(HeadSpec(), combiner=config.combiner))


def compare_engines(bundle: Path, index: PhotoIndex, registry: Registry) -> EngineGap:
    """The largest difference of a leaf's probability between torch and OpenVINO, and between alone and in a batch."""
    paths = index.paths[:: max(1, len(index) // PHOTOS)][:PHOTOS]
    joints = [
        _joint(bundle, paths, registry, engine=engine, batch_size=batch)
        for engine, batch in (("torch", 8), ("openvino", 8), ("openvino", 1))
    ]
    gaps = [float(np.abs(joint - joints[0]).max()) for joint in joints[1:]]
    return EngineGap(photos=len(paths), largest=max(gaps))


def _joint(bundle: Path, paths: list[str], registry: Registry, *, engine: Any, batch_size: int) -> np.ndarray:
    predictor = load(bundle, engine=engine, device="cpu", registry=registry, recommend=False)
    predictions = predictor.stream(paths, batch_size=batch_size)
    return np.stack([prediction.joint for prediction in predictions if prediction.joint is not None])
