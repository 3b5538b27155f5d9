"""What runs an exported file: its own runtime, without the network of hierpets."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hierpets.export.formats import Format
from hierpets.inference.engines.base import Engine, Precision, RawOutput

__all__ = ["OnnxEngine", "ScriptEngine", "open_exported"]


def open_exported(form: Format, path: Path, precision: Precision = "f32") -> Engine:
    """The engine of a file that :func:`hierpets.export.formats.write_format` wrote, on the CPU.

    It computes in float32; an OpenVINO graph in ``precision``.
    """
    if form == "openvino":
        from hierpets.inference.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(path, precision)
    return OnnxEngine(path) if form == "onnx" else ScriptEngine(path)


class OnnxEngine:
    """An ONNX file in ONNX Runtime."""

    name = "onnxruntime"
    device = "cpu"
    precision: Precision = "f32"
    workers, batch = 2, 4

    def __init__(self, path: Path):
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, images: np.ndarray) -> RawOutput:
        return RawOutput(*self._session.run(list(RawOutput._fields), {"images": images}))


class ScriptEngine:
    """A TorchScript file in torch."""

    name = "torchscript"
    device = "cpu"
    precision: Precision = "f32"
    workers, batch = 2, 4

    def __init__(self, path: Path):
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # docs/export.md says that TorchScript is deprecated
            self._module = torch.jit.load(str(path), map_location="cpu")

    def __call__(self, images: np.ndarray) -> RawOutput:
        import torch

        with torch.inference_mode():
            return RawOutput(*(tensor.numpy() for tensor in self._module(torch.from_numpy(images))))
