"""What a contestant is to the tool: something that answers one photo, or many, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["SIDES", "Side", "load_side"]

# Those named hierpets run in hierpets' own environment, the others in that of the peers.
SIDES = ("fastai", "timm", "torchvision", "onnxruntime", "openvino", "hierpets")


class Side(Protocol):
    """One contestant, loaded. A label is ``species/breed``."""

    def one(self, path: str) -> str: ...

    def many(self, paths: Sequence[str]) -> list[str]: ...


def load_side(name: str, model: Path, precision: str) -> Side:
    """Import one contestant, and nothing of the others, and load the model. Only hierpets is told a precision."""
    from importlib import import_module

    module = import_module(f"tools.peers.{name}_side")
    side: Side = module.load(model, precision) if name == "hierpets" else module.load(model)
    return side
