"""Explanations for who may need none: torch, and the bundle's network in it, are loaded with the first."""

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
    """``(path, *, leaf) -> RGB uint8 [H, W, 3]``: the photo with the evidence for a leaf laid over it."""

    @cache
    def explainer() -> Explainer:
        from hierpets.explain.explainer import Explainer

        return Explainer.load(bundle, registry=registry)

    def overlaid(path: str, *, leaf: int) -> np.ndarray:
        return explainer()(path, leaf=leaf)

    return overlaid
