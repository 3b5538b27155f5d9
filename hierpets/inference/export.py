"""Export a bundle's network, and keep what was written only if it answers as the bundle does."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hierpets.data.index import find_photos, read_index
from hierpets.data.photos import DEMO_PREFIX
from hierpets.errors import BundleError, DataError
from hierpets.files import whole_folder, write_text
from hierpets.inference.exported import run_file
from hierpets.inference.parity import MAX_DRIFT, Parity, measure_parity
from hierpets.inference.predictor import Predictor
from hierpets.inference.torch_engine import TorchEngine
from hierpets.model.bundle import MANIFEST, read_manifest, read_network
from hierpets.model.formats import FILES, Format, write_format
from hierpets.registry.loading import Registry

__all__ = ["CHECK", "Exported", "export_bundle", "photos_to_check"]

CHECK = "check.json"
MOST_PHOTOS, MOST_DRAWN = 400, 100  # to look at: torch in f32 takes its time


@dataclass(frozen=True)
class Exported:
    """The file that was written, and how near its answers are to those of torch in float32."""

    path: Path
    parity: Parity


def photos_to_check(folder: Path | None) -> list[str]:
    """At most 400 photos of a folder, spread over it; without one, 100 drawn pets.

    :raises DataError: no photos there.
    """
    found = find_photos(folder) if folder is not None else read_index("demo").paths
    if not found:
        raise DataError(f"{folder}: no photos in this folder to check the export with")
    most = MOST_PHOTOS if folder is not None else MOST_DRAWN
    spread = np.linspace(0, len(found) - 1, num=min(most, len(found)))
    return [found[int(i)] for i in spread.round()]


def export_bundle(
    folder: Path,
    form: Format,
    *,
    registry: Registry,
    photos: Sequence[str],
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write ``out/onnx``, ``out/torchscript`` or ``out/openvino`` whole or not at all; ``out`` is the bundle itself.

    Another ``out`` gets the manifest as well. What was measured is left beside the file in ``check.json``.

    :raises BundleError: the answers drift by more than 0.5 % from those of torch in float32; nothing is written.
    :raises ConfigError: what the format needs is not installed.
    """
    manifest = read_manifest(folder)
    network = read_network(folder, manifest, registry)
    target = (out or folder) / FILES[form]
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / FILES[form]
        write_format(form, made, network, manifest)
        reference, other = (Predictor(manifest, engine) for engine in (TorchEngine(network), run_file(form, made)))
        parity = measure_parity(reference, other, photos, progress=progress)
        if not parity.holds:
            raise BundleError(f"{form}: nothing written: {parity.words()}; at most {MAX_DRIFT:.1%} may differ")
        drawn = all(photo.startswith(DEMO_PREFIX) for photo in photos)
        check = {"format": form, "on": "drawn pets" if drawn else "photos", **parity.to_json()}
        write_text(made.parent / CHECK, json.dumps(check, indent=2) + "\n")
        with whole_folder(target.parent) as finished:
            shutil.copytree(made.parent, finished, dirs_exist_ok=True)
    if out is not None and out.resolve() != folder.resolve():
        write_text(out / MANIFEST, (folder / MANIFEST).read_text(encoding="utf-8"))
    return Exported(target, parity)
