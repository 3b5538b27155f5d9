"""hierpets: species and breed of a pet from a photo, with an honest doubt and a shampoo that does no harm.

The public names are imported on first use, so that ``import hierpets`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("hierpets")

_PUBLIC = {
    "Audit": "hierpets.auditing.findings",
    "HierpetsError": "hierpets.errors",
    "ImageError": "hierpets.errors",
    "Predictor": "hierpets.inference.predictor",
    "Taxonomy": "hierpets.taxonomy",
    "audit": "hierpets.auditing.run",
    "load": "hierpets.inference.loading",
}

__all__ = ["Audit", "HierpetsError", "ImageError", "Predictor", "Taxonomy", "__version__", "audit", "load"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hierpets' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
