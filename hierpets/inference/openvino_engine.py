"""OpenVINO: the default on a CPU. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from hierpets.errors import BundleError
from hierpets.files import cache_dir
from hierpets.inference.engine import RawOutput

__all__ = ["OpenVinoEngine", "compile_model"]


def compile_model(model: ov.Model | Path) -> ov.CompiledModel:
    """Compile for the CPU in float32; compiled files are kept in the cache folder and start sooner the next time.

    Left alone, OpenVINO takes bfloat16 on a CPU that has it, and rounds the activations of layers with packed weights.
    """
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "PERFORMANCE_HINT": "LATENCY",
    }
    if isinstance(model, Path):
        options["CACHE_DIR"] = str(cache_dir() / "openvino")
    return ov.Core().compile_model(model, "CPU", options)


class OpenVinoEngine:
    """Runs the graph of a bundle on the CPU."""

    name = "openvino"
    device = "cpu"

    def __init__(self, graph: Path):
        if not graph.is_file():
            raise BundleError(f"{graph}: the bundle has no OpenVINO graph; use --engine torch, or train it again")
        self._compiled = compile_model(graph)

    def __call__(self, images: np.ndarray) -> RawOutput:
        result = self._compiled({0: images})
        return RawOutput(*(np.asarray(result[i]) for i in range(len(RawOutput._fields))))
