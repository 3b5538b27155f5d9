"""hierpets: species and breed of a pet from a photo, with an honest doubt and a shampoo that does no harm.

The public names are imported on first use, so that ``import hierpets`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("hierpets")

_PUBLIC = {
    "HierpetsError": "hierpets.errors",
    "ImageError": "hierpets.errors",
    "Predictor": "hierpets.inference.predictor",
    "Taxonomy": "hierpets.taxonomy",
    "TrainConfig": "hierpets.config",
    "TrainResult": "hierpets.training.recipe",
    "load": "hierpets.inference.loading",
    "train": "hierpets.training.recipe",
}

__all__ = [
    "HierpetsError",
    "ImageError",
    "Predictor",
    "Taxonomy",
    "TrainConfig",
    "TrainResult",
    "__version__",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hierpets' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
