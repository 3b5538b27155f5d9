"""Grad-CAM for the page: the bundle's torch network, loaded when it is first asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from hierpets.errors import HierpetsError
from hierpets.model.bundle import read_manifest
from hierpets.registry.loading import Registry
from hierpets.serve.pictures import png
from hierpets.serve.service import Explainer

__all__ = ["lazy_explainer"]


def lazy_explainer(bundle: Path, registry: Registry) -> Explainer | None:
    """A photo to a PNG of what spoke for its answer; None when the bundle's backbone cannot be built here."""
    try:
        registry.get("backbone", read_manifest(bundle).backbone.name)
    except HierpetsError:
        return None

    @cache
    def load():  # type: ignore[no-untyped-def]
        from hierpets.explain.explainer import Explainer as Network

        return Network.load(bundle, registry=registry)

    def explain(photo: np.ndarray) -> bytes:
        found = load().explain(photo)
        at_breed = found.breed is not None and found.prediction.decision.level == "breed"
        return png(found.breed if at_breed else found.species)

    return explain
