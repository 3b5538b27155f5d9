"""Writes a bundle's network to files for other runtimes.

Each contains the whole graph with features, heads and OOD scores: its input is ``images``, its outputs are those of
``NetworkOutput``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from hierpets.bundle.layout import EXPORTS, GRAPH, MANIFEST
from hierpets.bundle.manifest import Manifest
from hierpets.errors import ConfigError
from hierpets.libraries import needed_for
from hierpets.model.graph.convert import write_graph
from hierpets.model.network import HierarchicalNetwork, NetworkOutput

__all__ = ["FILES", "Format", "check_format", "write_format"]

Format = Literal["openvino", "onnx", "torchscript"]
FILES: dict[Format, Path] = {
    "openvino": GRAPH,
    "onnx": EXPORTS["ONNX"],
    "torchscript": EXPORTS["TorchScript"],
}
INPUT = "images"
# By default, OpenVINO rounds the activations of layers with packed weights. The other option that changes results, the
# precision, cannot be stored in a file (2026.4).
OPENVINO_OPTIONS = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


def check_format(form: Format, precision: str) -> None:
    """Check that a format can be written at a precision.

    :raises ConfigError: it has no int8, or a package that writes it is not installed.
    """
    if precision == "int8" and form != "openvino":
        raise ConfigError(f"--precision int8: not supported for the format {form}; use openvino")
    if form == "onnx":
        _require_onnx()


def write_format(
    form: Format,
    path: Path,
    network: HierarchicalNetwork,
    manifest: Manifest,
    *,
    calibration: Sequence[np.ndarray] = (),
) -> None:
    """Write the network of a bundle in a format, and create its folder. The batch size is any, for OpenVINO one.

    ONNX and TorchScript files contain the manifest, as ``bundle.json``. With photos for ``calibration`` (each float32
    [1, 3, size, size]), an OpenVINO graph is quantized.

    :raises ConfigError: as for :func:`check_format`.
    """
    check_format(form, "int8" if len(calibration) else "f32")
    path.parent.mkdir(exist_ok=True)
    with torch.no_grad(), _quietly():
        if form == "openvino":
            preprocess = manifest.preprocess
            write_graph(path, network.eval(), preprocess, calibration=calibration, options=OPENVINO_OPTIONS)
        else:
            WRITERS[form](path, network.eval(), manifest)


def _require_onnx() -> None:
    with needed_for("--format onnx"):
        import onnx_ir  # noqa: F401  removes the exporter's notes on this machine
        import onnxruntime  # noqa: F401  checks the file
        import onnxscript  # noqa: F401  the exporter needs it


def _write_onnx(path: Path, network: HierarchicalNetwork, manifest: Manifest) -> None:
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    program = torch.onnx.export(
        network,
        (_example(manifest, batch=2),),  # a batch of one would become a constant
        dynamo=True,
        dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
        input_names=[INPUT],
        output_names=list(NetworkOutput._fields),
        verbose=False,
    )
    assert program is not None
    # Remove the exporter's notes: they name the source file on this machine that called each operation.
    ClearMetadataAndDocStringPass()(program.model)
    program.model.metadata_props[MANIFEST] = manifest.model_dump_json()
    program.save(str(path), external_data=False)


def _write_torchscript(path: Path, network: HierarchicalNetwork, manifest: Manifest) -> None:
    traced = torch.jit.trace(network, _example(manifest, batch=1), check_trace=False)
    with path.open("wb") as file:  # given a path, torch's own writer kills the process if the disk is full
        torch.jit.save(torch.jit.freeze(traced), file, _extra_files={MANIFEST: manifest.model_dump_json()})


WRITERS: dict[Format, Callable[[Path, HierarchicalNetwork, Manifest], None]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
}


def _example(manifest: Manifest, *, batch: int) -> torch.Tensor:
    return torch.zeros(batch, 3, manifest.preprocess.size, manifest.preprocess.size)


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide warnings about the exporters' internals, and that TorchScript is deprecated (see docs/export.md)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
