"""The files of a bundle, and which of them are present. Light to import: nothing is parsed here."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

from hierpets.errors import BundleError

__all__ = [
    "BUNDLE",
    "EXPORTS",
    "GRAPH",
    "MANIFEST",
    "SEEN",
    "STATISTICS",
    "WEIGHTS",
    "brief",
    "early_files",
    "incomplete_bundle",
    "is_quantized",
    "released_bundle",
]

MANIFEST, WEIGHTS, GRAPH = "bundle.json", "weights.safetensors", Path("openvino") / "model.xml"
STATISTICS = "statistics.safetensors"
SEEN = "seen.bin"
EXPORTS = {"ONNX": Path("onnx") / "model.onnx", "TorchScript": Path("torchscript") / "model.pt"}
"""Exports for other runtimes, which hierpets does not run itself."""
BUNDLE = (MANIFEST, WEIGHTS, STATISTICS, SEEN, "LICENSE", "early*.safetensors", "openvino", "onnx", "torchscript")
"""Patterns for the names of all entries of a bundle folder."""
QUANTIZED = b'type="FakeQuantize"'  # the operation that quantizes activations


def released_bundle() -> Path:
    """The bundle that is part of the package, the default of every command."""
    folder = Path(__file__).resolve().parents[1] / "released"
    if not (folder / MANIFEST).is_file():
        raise BundleError("this installation has no released bundle; name one with --model, or train one")
    return folder


def early_files(number: int) -> tuple[str, Path, str]:
    """The weights, graph and statistics files of an early network; ``number`` is its place in the cascade, from 0."""
    return f"early{number}.safetensors", GRAPH.with_stem(f"early{number}"), f"early{number}-{STATISTICS}"


def is_quantized(graph: Path) -> bool:
    """Whether the activations of an OpenVINO graph are quantized, so that it can be computed in int8."""
    return graph.is_file() and QUANTIZED in graph.read_bytes()


def incomplete_bundle(folder: Path, problem: str) -> BundleError:
    """The error for a folder without a required file; the message says if it is an export for another runtime."""
    for name, file in EXPORTS.items():
        if (folder / file).is_file() or (folder / file.name).is_file():
            problem = (
                f"only {name} in this folder, which hierpets does not run; use the bundle that it was exported from, "
                "or see docs/export.md"
            )
    return BundleError(f"{folder}: {problem}")


def brief(error: Exception) -> str:
    """The error message of a library in one line, shortened."""
    return shorten(str(error), 300)
