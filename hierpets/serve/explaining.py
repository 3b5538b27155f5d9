"""Grad-CAM for the page: the bundle's torch network, loaded on first use."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hierpets.errors import HierpetsError
from hierpets.model.manifest import read_manifest
from hierpets.registry.loading import Registry
from hierpets.serve.service import Explainer
from hierpets.thumbnails import encode_png

if TYPE_CHECKING:
    from hierpets.explain.explainer import Explainer as Network

__all__ = ["lazy_explainer"]


def lazy_explainer(bundle: Path, registry: Registry) -> Explainer | None:
    """A function from a photo to a PNG of where the model looked; None if the bundle's backbone is not registered."""
    try:
        registry.get("backbone", read_manifest(bundle).backbone.name)
    except HierpetsError:
        return None

    @cache
    def load() -> Network:
        from hierpets.explain.explainer import Explainer as Network

        return Network.load(bundle, registry=registry)

    def explain(photo: np.ndarray) -> bytes:
        found = load().explain(photo)
        answer = found.prediction.decision
        if found.breed is not None and answer is not None and answer.level == "breed":
            return encode_png(found.breed)
        return encode_png(found.species)

    return explain
