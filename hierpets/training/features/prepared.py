"""Prepare backbones to compute features, in this process or on the workers of a cluster."""

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
    """A backbone, how to build it again, and its extractor. It is passed on, as building and compiling take seconds."""

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
    """Prepare a backbone for ``config.cluster``, or, without one, for the ``device`` of this machine.

    It has the weights tuned on all photos, or on all but those of a ``fold``, if the choice names any. ``decoded_side``
    is as in :func:`~hierpets.model.backbone.build_backbone`. Workers use a GPU only if ``config.device`` is ``cuda``:
    ``auto`` was resolved by the hardware of this machine, which may differ from theirs.
    """
    weights = choice.weights_file(fold)
    backbone, spec = build_backbone(
        registry, choice.name, choice.options, weights, seed=config.seed, decoded_side=decoded_side
    )
    if config.cluster is None:
        return Prepared(backbone, spec, FeatureExtractor(backbone, device))
    worker_device = "cuda" if config.device == "cuda" else "cpu"
    path = registry.path.resolve()
    task = ClusterFeatures(config.cluster, path, spec, backbone.preprocess, worker_device, config.out / FEATURES)
    return Prepared(backbone, spec, ClusterExtractor(backbone, task))
