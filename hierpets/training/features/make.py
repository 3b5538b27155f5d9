"""Who computes features: this process, or the workers of a cluster."""

from __future__ import annotations

from hierpets.bundle.manifest import BackboneSpec
from hierpets.config import TrainConfig
from hierpets.plugin import Backbone
from hierpets.registry.loading import Registry
from hierpets.training.features.cluster import ClusterExtractor, ClusterFeatures
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.run.folder import FEATURES

__all__ = ["make_extractor"]


def make_extractor(
    backbone: Backbone, spec: BackboneSpec, config: TrainConfig, *, registry: Registry, device: str
) -> FeatureExtractor:
    """An extractor on ``config.cluster``, or, without one, on the ``device`` of this machine.

    Workers use a GPU only where ``config.device`` asks for one by name: what this machine has says nothing of theirs.
    """
    if config.cluster is None:
        return FeatureExtractor(backbone, device)
    theirs = "cuda" if config.device == "cuda" else "cpu"
    path = registry.path.resolve()
    task = ClusterFeatures(config.cluster, path, spec, backbone.preprocess, theirs, config.out / FEATURES)
    return ClusterExtractor(backbone, task)
