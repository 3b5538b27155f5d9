"""Where the files of a bundle lie. Light: no file is read here."""

from __future__ import annotations

from pathlib import Path

from hierpets.errors import BundleError

__all__ = ["GRAPH", "MANIFEST", "WEIGHTS", "released_bundle"]

MANIFEST, WEIGHTS, GRAPH = "bundle.json", "weights.safetensors", Path("openvino") / "model.xml"


def released_bundle() -> Path:
    """The bundle that ships in the package: what every command uses when none is named."""
    folder = Path(__file__).resolve().parents[1] / "released"
    if not (folder / MANIFEST).is_file():
        raise BundleError("this installation has no released bundle; name one with --model, or train one")
    return folder
