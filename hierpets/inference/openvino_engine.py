"""OpenVINO: the default on a CPU. Needs no torch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from hierpets.errors import BundleError, DeviceError
from hierpets.files import cache_dir
from hierpets.inference.engine import Precision, RawOutput

__all__ = ["OpenVinoEngine", "compile_model"]

# What OpenVINO calls the hardware that a precision needs. It takes a hint for what is not there, and ignores it.
CAPABILITY = {"bf16": "BF16", "f16": "FP16"}
QUANTISED = b'type="FakeQuantize"'  # the operation of a graph whose activations are rounded


def compile_model(model: ov.Model | Path, precision: Precision = "f32") -> ov.CompiledModel:
    """Compile for the CPU; compiled files are kept in the cache folder and start sooner the next time.

    The precision is always given: left alone, OpenVINO takes bfloat16 on a CPU that has it, and rounds the activations
    of layers with packed weights. ``int8`` is a graph that is quantised; what is not, it computes in float32.

    :raises DeviceError: this CPU has no such precision.
    """
    core = ov.Core()
    _require(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "PERFORMANCE_HINT": "LATENCY",
    }
    if isinstance(model, Path):
        options["CACHE_DIR"] = str(cache_dir() / "openvino")
    return core.compile_model(model, "CPU", options)


def _require(precision: Precision, capabilities: Collection[str]) -> None:
    if CAPABILITY.get(precision, "FP32") in capabilities:
        return
    able = [name for name in ("f32", "bf16", "f16") if CAPABILITY.get(name, "FP32") in capabilities]
    raise DeviceError(f"--precision {precision}: this CPU does not compute in it; choose {', '.join(able)}")


class OpenVinoEngine:
    """Runs the graph of a bundle on the CPU."""

    name = "openvino"
    device = "cpu"

    def __init__(self, graph: Path, precision: Precision = "f32"):
        if not graph.is_file():
            raise BundleError(f"{graph}: the bundle has no OpenVINO graph; use --engine torch, or train it again")
        if precision == "int8" and QUANTISED not in graph.read_bytes():
            raise BundleError(
                f"{graph}: --precision int8: the graph of this bundle is not quantised; choose f32 or bf16"
            )
        self.precision: Precision = precision
        self._compiled = compile_model(graph, precision)

    def __call__(self, images: np.ndarray) -> RawOutput:
        result = self._compiled({0: images})
        return RawOutput(*(np.asarray(result[i]) for i in range(len(RawOutput._fields))))
