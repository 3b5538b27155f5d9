"""Backbones: built by a plugin, rounded once, and known by a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hierpets.model.manifest import BackboneSpec
from hierpets.model.rounding import round_weights
from hierpets.plugin import Backbone
from hierpets.registry.loading import Registry

__all__ = ["build_backbone", "fingerprint"]


def build_backbone(registry: Registry, name: str, options: Mapping[str, Any]) -> tuple[Backbone, BackboneSpec]:
    """The backbone plugin ``name`` with its weights rounded as a bundle stores them, and how to build it again."""
    plugin = registry.get("backbone", name)
    backbone: Backbone = plugin.call(**options)
    round_weights(backbone.module)
    if backbone.pretrained_head is not None:
        round_weights(backbone.pretrained_head.head)
    return backbone, BackboneSpec(name=name, options=plugin.resolve(**options), feature_dim=backbone.feature_dim)


def fingerprint(backbone: Backbone) -> str:
    """A hash of the preprocessing and of every weight: equal fingerprints give equal features."""
    digest = hashlib.sha256(json.dumps(backbone.preprocess.model_dump(), sort_keys=True).encode())
    for name, tensor in sorted(backbone.module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
