"""Export a bundle's network, and keep what was written only if it answers as the bundle does."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.index import read_index
from hierpets.data.listing import DEMO_PREFIX, find_photos
from hierpets.errors import BundleError, DataError
from hierpets.export.engines import run_file
from hierpets.export.formats import FILES, Format, write_format
from hierpets.export.parity import MAX_DRIFT, MAX_FALL, Parity, measure_parity
from hierpets.files import whole_folder, write_text
from hierpets.inference.engines.torch import TorchEngine
from hierpets.inference.predictor import Predictor
from hierpets.model.layout import MANIFEST
from hierpets.model.manifest import Manifest, model_id, read_manifest
from hierpets.model.reader import read_network
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["CHECK", "Exported", "export_bundle", "photos_to_check"]

CHECK = "check.json"
MOST_PHOTOS, MOST_DRAWN = 400, 100  # to look at: torch in f32 takes its time
MOST_CALIBRATING = 200  # of them: the ranges of activations are settled long before


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
    precision: Literal["f32", "int8"] = "f32",
    out: Path | None = None,
    progress: Progress = no_progress,
) -> Exported:
    """Write ``out/onnx``, ``out/torchscript`` or ``out/openvino`` whole or not at all; ``out`` is the bundle itself.

    Another ``out`` gets the manifest as well. What was measured is left beside the file in ``check.json``. With
    ``precision`` int8 an OpenVINO graph is quantized by the ranges that the photos show.

    :raises BundleError: the answers drift by more than 0.5 % from those of torch in float32, or with int8 the accuracy
        on labeled photos falls by 0.3 points or more; nothing is written.
    :raises ConfigError: what the format needs is not installed.
    """
    manifest = read_manifest(folder)
    network, model = read_network(folder, manifest, registry), model_id(folder)
    target = (out or folder) / FILES[form]
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / FILES[form]
        calibration = _inputs(photos, manifest) if precision == "int8" else ()
        write_format(form, made, network, manifest, calibration=calibration)
        written = run_file(form, made, precision)
        reference, other = (Predictor(manifest, engine, model=model) for engine in (TorchEngine(network), written))
        leaves = _leaves(photos, manifest.taxonomy)
        parity = measure_parity(reference, other, photos, leaves=leaves, progress=progress)
        _refuse_drift(form, precision, parity)
        drawn = all(photo.startswith(DEMO_PREFIX) for photo in photos)
        on = "drawn pets" if drawn else "photos"
        check = {"format": form, "precision": precision, "on": on, **parity.to_json()}
        write_text(made.parent / CHECK, json.dumps(check, indent=2) + "\n")
        with whole_folder(target.parent) as finished:
            shutil.copytree(made.parent, finished, dirs_exist_ok=True)
    if out is not None and out.resolve() != folder.resolve():
        write_text(out / MANIFEST, (folder / MANIFEST).read_text(encoding="utf-8"))
    return Exported(target, parity)


def _refuse_drift(form: Format, precision: str, parity: Parity) -> None:
    if not (parity.holds_rounded if precision == "int8" else parity.holds):
        fall = f", accuracy may fall by less than {MAX_FALL:.1%}" if precision == "int8" and parity.labeled else ""
        allowed = fall or f"; at most {MAX_DRIFT:.1%} may differ"
        raise BundleError(f"{form}: nothing written: {parity.words()}{allowed}")


def _inputs(photos: Sequence[str], manifest: Manifest) -> list[np.ndarray]:
    """Some of the photos as the network sees them, each float32 [1, 3, size, size]."""
    chosen = [photos[int(i)] for i in np.linspace(0, len(photos) - 1, num=min(MOST_CALIBRATING, len(photos))).round()]
    batches = iter_inputs(chosen, manifest.preprocess, batch_size=1, on_error=lambda i, e: None)
    if not (found := [inputs for _, inputs in batches]):
        raise DataError(f"none of the {len(photos)} photos to calibrate with can be read")
    return found


def _leaves(photos: Sequence[str], taxonomy: Taxonomy) -> list[int]:
    """The leaf that the folders of a photo name, ``SPECIES/BREED/photo``; -1 where they name none."""
    known: dict[tuple[str, ...], int] = {
        (leaf.species, leaf.breed): i for i, leaf in enumerate(taxonomy.leaves) if leaf.breed
    }
    places = (Path(photo.removeprefix(DEMO_PREFIX)).parts[-3:-1] for photo in photos)
    return [known.get(place, UNKNOWN_LEAF) for place in places]
