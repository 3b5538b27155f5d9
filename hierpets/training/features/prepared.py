"""Backbones that are ready to compute features: in this process, or by the workers of a cluster."""

from __future__ import annotations

from typing import NamedTuple

from hierpets.bundle.manifest import BackboneSpec
from hierpets.config import BackboneChoice, TrainConfig
from hierpets.model.backbone import build_backbone
from hierpets.plugin import Backbone
from hierpets.registry.loading import Registry
from hierpets.training.features.cluster import ClusterExtractor, ClusterFeatures
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.run.folder import FEATURES

__all__ = ["Prepared", "prepare_backbone"]


class Prepared(NamedTuple):
    """A backbone, how it is built again, and what computes its features: to build and compile it takes seconds."""

    backbone: Backbone
    spec: BackboneSpec
    extractor: FeatureExtractor


def prepare_backbone(
    choice: BackboneChoice,
    config: TrainConfig,
    *,
    registry: Registry,
    device: str,
    fold: int | None = None,
    decoded_side: int = 0,
) -> Prepared:
    """A backbone for ``config.cluster``, or, without one, for the ``device`` of this machine; with the weights that
    were tuned on all photos, or on all but those of a ``fold``. ``decoded_side`` as in
    :func:`~hierpets.model.backbone.build_backbone`.

    Workers use a GPU only where ``config.device`` asks for one by name: what this machine has says nothing of theirs.
    """
    weights = choice.weights_file(fold)
    backbone, spec = build_backbone(
        registry, choice.name, choice.options, weights, seed=config.seed, decoded_side=decoded_side
    )
    if config.cluster is None:
        return Prepared(backbone, spec, FeatureExtractor(backbone, device))
    theirs = "cuda" if config.device == "cuda" else "cpu"
    path = registry.path.resolve()
    task = ClusterFeatures(config.cluster, path, spec, backbone.preprocess, theirs, config.out / FEATURES)
    return Prepared(backbone, spec, ClusterExtractor(backbone, task))
