"""ONNX Runtime as its documentation shows it: a session with defaults."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from tools.peers.arrays import ArraySide
from tools.peers.network import read_carried

__all__ = ["load"]


def load(model: Path) -> ArraySide:
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])
    return ArraySide(read_carried(model), lambda images: session.run(None, {"images": images})[0])
