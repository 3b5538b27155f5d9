"""Measure whether pretraining helps: the same heads on features of pretrained and of random weights."""

from __future__ import annotations

import numpy as np

from hierpets.bundle.manifest import BackboneSpec
from hierpets.config import HeadSpec, TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.model.backbone import build_backbone
from hierpets.planning.result import PretrainedGain
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.held_out.cross_validation import FoldHeads
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.score import Score
from hierpets.training.splits import sample_weights

__all__ = ["compare_random"]


def compare_random(
    backbone: BackboneSpec,
    photos: PhotoIndex,
    config: TrainConfig,
    registry: Registry,
    *,
    device: str,
    progress: Progress = no_progress,
) -> PretrainedGain | str:
    """Compare the balanced accuracy, out of fold, of heads on pretrained and on random features.

    The same backbone plugin, the same photos, the same folds and heads: only the weights differ. Where pretrained
    features are no better, the photos are unlike those that the weights come from. If nothing can be compared, the
    result is a sentence that says why.
    """
    plugin = registry.get("backbone", backbone.name)
    if "pretrained" not in plugin.option_names:
        return f"backbone {plugin.name!r} has no option `pretrained` to turn off"

    def extractor_with(*, pretrained: bool) -> FeatureExtractor:
        # Built as in training, so that cached features are found, random ones too.
        options = backbone.options | {"pretrained": pretrained}
        return FeatureExtractor(build_backbone(registry, backbone.name, options, seed=config.seed)[0], device)

    extractors = {"pretrained": extractor_with(pretrained=True), "random": extractor_with(pretrained=False)}
    photos = _readable(photos, extractors["pretrained"], progress)
    scores: dict[str, Score] = {}
    for name, extractor in extractors.items():
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


def _readable(photos: PhotoIndex, extractor: FeatureExtractor, progress: Progress) -> PhotoIndex:
    """Leave out the photos that training skips."""
    skipped, _ = extractor.examine(photos.paths, progress=progress)
    return photos.where(lambda record: record.path not in skipped)


def _score(features: np.ndarray, photos: PhotoIndex, config: TrainConfig, registry: Registry) -> Score | None:
    labels = photos.labels()
    weights = sample_weights(labels, config, registry)
    folds = assign_folds(labels, folds=config.folds, seed=config.seed)
    # Random features have scales that differ by orders of magnitude; standardized, both sets meet the same heads.
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled_photos = FeatureSet(scaled, scaled, labels, weights, photos.taxonomy)
    parts = collect_statistics(scaled_photos, None, folds)
    heads = FoldHeads.fit(scaled_photos, parts, folds, HeadFitter(HeadSpec(), combiner=config.combiner))
    return heads.ask(scaled_photos).score() if heads else None
