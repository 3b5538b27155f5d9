"""Explanations on demand: torch and the bundle's networks are loaded with the first one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hierpets.registry.loading import Registry

if TYPE_CHECKING:
    import numpy as np

    from hierpets.explain.explainer import Explainer

__all__ = ["lazy_overlay"]


def lazy_overlay(bundle: str | Path | None, *, registry: Registry | None = None) -> Callable[..., np.ndarray]:
    """A function ``(path, *, leaf) -> RGB uint8 [H, W, 3]``: the photo with the evidence for a leaf as an overlay."""

    @cache
    def explainer() -> Explainer:
        from hierpets.explain.explainer import Explainer

        return Explainer.load(bundle, registry=registry)

    def overlaid(path: str, *, leaf: int) -> np.ndarray:
        return explainer()(path, leaf=leaf)

    return overlaid
