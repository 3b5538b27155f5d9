"""Engines that run an exported file in its own runtime."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hierpets.export.formats import INPUT, Format
from hierpets.inference.engines.base import Engine, Precision, RawOutput
from hierpets.inference.engines.normalized import NormalizedEngine
from hierpets.plugin import Preprocess

__all__ = ["open_exported", "open_onnx"]


def open_exported(form: Format, path: Path, preprocess: Preprocess, precision: Precision = "f32") -> Engine:
    """Open a file that :func:`hierpets.export.formats.write_format` wrote, on the CPU.

    The engine computes in float32, or in ``precision`` for an OpenVINO graph.
    """
    if form == "openvino":
        from hierpets.inference.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(path, precision)
    return open_onnx(path, preprocess) if form == "onnx" else _open_script(path, preprocess)


def open_onnx(path: Path, preprocess: Preprocess) -> Engine:
    """Open an ONNX file in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> RawOutput:
        return RawOutput(*session.run(list(RawOutput._fields), {INPUT: images}))

    return NormalizedEngine(run, preprocess, name="onnxruntime")


def _open_script(path: Path, preprocess: Preprocess) -> Engine:
    """Open a TorchScript file in torch."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # docs/export.md says that TorchScript is deprecated
        module = torch.jit.load(str(path), map_location="cpu")

    def run(images: np.ndarray) -> RawOutput:
        with torch.inference_mode():
            return RawOutput(*(tensor.numpy() for tensor in module(torch.from_numpy(images))))

    return NormalizedEngine(run, preprocess, name="torchscript")
