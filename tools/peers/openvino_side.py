"""OpenVINO as its documentation shows it: ``compile_model`` with defaults, synchronous calls."""

from __future__ import annotations

from pathlib import Path

import openvino

from tools.peers.arrays import ArraySide
from tools.peers.network import read_carried

__all__ = ["load"]


def load(model: Path) -> ArraySide:
    compiled = openvino.Core().compile_model(str(model / "model.onnx"), "CPU")
    return ArraySide(read_carried(model), lambda images: compiled(images)[0])
