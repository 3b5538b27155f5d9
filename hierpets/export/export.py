"""Export a bundle's network, and keep the file only if it predicts as the bundle does."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hierpets.bundle.identity import ModelId, model_id
from hierpets.bundle.layout import GRAPH, MANIFEST, WEIGHTS, released_bundle
from hierpets.bundle.manifest import Manifest, read_manifest
from hierpets.data.addresses import DEMO_PREFIX
from hierpets.data.dataset import iter_inputs
from hierpets.data.labeled.index import read_index
from hierpets.data.listing import evenly, find_photos
from hierpets.data.records import PhotoIndex
from hierpets.errors import BundleError, ConfigError, DataError
from hierpets.export.engines import open_exported
from hierpets.export.formats import FILES, Format, check_format, write_format
from hierpets.export.parity import MAX_DRIFT, MAX_FALL, Parity, measure_parity
from hierpets.files import check_folder, whole_folder, write_all, write_file
from hierpets.inference.engines.base import Engine
from hierpets.inference.engines.torch import TorchEngine
from hierpets.inference.predictor import Predictor
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.reader import read_networks
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = [
    "CHECK_FILE",
    "Exported",
    "check_network",
    "export_bundle",
    "labeled_photos",
    "photos_to_check",
    "refuse_drift",
]

CHECK_FILE = "check.json"
HOLDS = (CHECK_FILE, f"{GRAPH.stem}.*", "early*.*")  # name patterns of the files in a format's folder
MAX_PHOTOS, MAX_SYNTHETIC = 400, 100  # to check the export with: torch in float32 is slow
MAX_CALIBRATING = 200  # of these photos: the ranges of activations converge long before

ExportPrecision = Literal["f32", "int8"]


@dataclass(frozen=True)
class Exported:
    """The exported file, and how closely its predictions match torch in float32.

    ``left_out`` is the number of early networks of the bundle that are not exported: the main network alone answers
    every photo.
    """

    path: Path
    parity: Parity
    left_out: int = 0


def export_bundle(
    bundle: str | os.PathLike[str] | None,
    form: Format,
    *,
    data: str | os.PathLike[str] | PhotoIndex | None = None,
    precision: ExportPrecision = "f32",
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    registry: Registry | str | Path | None = None,
    progress: Progress = no_progress,
) -> Exported:
    """Export a bundle's network to ``out/onnx``, ``out/torchscript`` or ``out/openvino``, completely or not at all.

    ``out`` defaults to the folder of the bundle; any other folder gets the manifest as well. Without ``bundle``, the
    released one is exported. The exported file is checked on photos of ``data``, a folder or labeled photos, or by
    default on 100 synthetic images; the results are written beside it, to ``check.json``. With ``precision`` int8 an
    OpenVINO graph is quantized, by the ranges of activations on these photos. If the bundle has early networks,
    OpenVINO gets all networks, each checked by itself; other formats get the main network alone.

    :raises ConfigError: the export already exists and ``overwrite`` is not given; ``out`` contains something else, or
        another bundle; it cannot be written; the format has no such precision, or needs a package that is not
        installed.
    :raises DataError: there are no photos in ``data``.
    :raises BundleError: there is no bundle; or the top-1 class differs from torch in float32 on more than 0.5% of the
        photos, or, with int8, the accuracy is expected to fall by 0.3 points or more, or labeled photos prove that it
        does. Nothing is written then.
    """
    folder = Path(bundle) if bundle is not None else released_bundle()
    if bundle is None and out is None:
        raise ConfigError("the released bundle is read-only; give another folder as out")
    target = Path(out if out is not None else folder) / FILES[form]
    check_format(form, precision)
    manifest = read_manifest(folder)
    _check_target(target, folder, overwrite=overwrite)
    plugins = load_registry(registry)
    photos, leaves = labeled_photos(data, manifest.taxonomy)
    # Open the target before the work, so that a folder that cannot be written fails early.
    with whole_folder(target.parent, overwrite=overwrite) as finished, tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / FILES[form]
        parity = _write_checked(file, folder, manifest, form, precision, photos, leaves, plugins, progress)
        write_all(finished, {part.name: part.read_bytes() for part in file.parent.iterdir()})
    if target.parents[1].resolve() != folder.resolve():
        write_file(target.parents[1] / MANIFEST, (folder / MANIFEST).read_text(encoding="utf-8"))
    return Exported(target, parity, left_out=0 if form == "openvino" else len(manifest.early))


def photos_to_check(folder: str | os.PathLike[str] | None) -> list[str]:
    """Choose at most 400 photos spread over a folder, or 100 synthetic images without a folder.

    :raises DataError: the folder has no photos.
    """
    found = find_photos(folder) if folder is not None else read_index("demo").paths
    if not found:
        raise DataError(f"{folder}: no photos in this folder; the export needs some to be checked with")
    return evenly(found, MAX_PHOTOS if folder is not None else MAX_SYNTHETIC)


def _check_target(target: Path, folder: Path, *, overwrite: bool) -> None:
    check_folder(target.parent, overwrite=overwrite, mark=Path("..") / MANIFEST, kind="export", holds=HOLDS)
    other = target.parents[1] / MANIFEST
    if not other.is_file() or other.read_bytes() == (folder / MANIFEST).read_bytes():
        return
    remaining = [other.parent / WEIGHTS, *(other.parent / file.parent for file in FILES.values())]
    if any(path.exists() for path in remaining if path != target.parent):  # the new manifest would not fit them
        raise ConfigError(f"{other.parent}: holds another bundle, or other exports of one; choose another folder")
    if not overwrite:
        raise ConfigError(f"{other.parent}: holds an export of another bundle; give overwrite or another folder")


def _write_checked(
    path: Path,
    folder: Path,
    manifest: Manifest,
    form: Format,
    precision: ExportPrecision,
    photos: Sequence[str],
    leaves: Sequence[int],
    registry: Registry,
    progress: Progress,
) -> Parity:
    """Write the file, for OpenVINO with those of the early networks, and the results of the check.

    :raises BundleError: a network does not predict as torch does.
    """
    model, main = model_id(folder), len(manifest.early)
    networks = dict(enumerate(read_networks(folder, manifest, registry)))
    exported = networks if form == "openvino" else {main: networks[main]}
    found: dict[str, Parity] = {}
    for stage, network in exported.items():
        spec = manifest.networks[stage]
        file = path if stage == main else path.with_name(spec.graph.name)
        found[file.name] = _write_network(
            file,
            network,
            manifest.alone(stage),
            model,
            form,
            precision,
            photos,
            leaves,
            progress,
            threshold=spec.threshold,
        )
    on = "synthetic images" if all(photo.startswith(DEMO_PREFIX) for photo in photos) else "photos"
    own = found.pop(path.name)
    early = {"early": {name: parity.to_json() for name, parity in found.items()}} if found else {}
    check = {"format": form, "precision": precision, "on": on, **own.to_json(), **early}
    write_file(path.parent / CHECK_FILE, json.dumps(check, indent=2) + "\n")
    return own


def _write_network(
    path: Path,
    network: HierarchicalNetwork,
    manifest: Manifest,
    model: ModelId,
    form: Format,
    precision: ExportPrecision,
    photos: Sequence[str],
    leaves: Sequence[int],
    progress: Progress,
    *,
    threshold: float,
) -> Parity:
    """Write one network and check it; ``manifest`` describes this network alone. Photos that it is not certain of
    beyond ``threshold`` are left to other networks.

    :raises BundleError: it does not predict as torch does.
    """
    calibration = _inputs(photos, manifest) if precision == "int8" else ()
    write_format(form, path, network, manifest, calibration=calibration)
    engine = open_exported(form, path, manifest.preprocess, precision)
    parity = check_network(network, engine, manifest, model, photos, leaves, threshold=threshold, progress=progress)
    refuse_drift(form, parity, precision)
    return parity


def check_network(
    network: HierarchicalNetwork,
    engine: Engine,
    manifest: Manifest,
    model: ModelId,
    photos: Sequence[str],
    leaves: Sequence[int],
    *,
    threshold: float,
    progress: Progress,
) -> Parity:
    """Measure how closely the ``engine`` of an exported file matches its network in torch, without other networks."""
    engines = TorchEngine(network, manifest.preprocess), engine
    reference, exported = (Predictor(manifest, one, model=model) for one in engines)
    return measure_parity(reference, exported, photos, leaves=leaves, threshold=threshold, progress=progress)


def refuse_drift(form: str, parity: Parity, precision: ExportPrecision = "f32") -> None:
    """Refuse an exported file that does not match its network in torch.

    :raises BundleError: its predictions differ too much.
    """
    if not (parity.holds_quantized if precision == "int8" else parity.holds):
        if not parity.finite:
            allowed = "; a number is not finite"
        elif precision == "int8":
            allowed = f", accuracy may fall by less than {100 * MAX_FALL:g} points"
        else:
            allowed = f"; at most {MAX_DRIFT:.1%} may differ"
        raise BundleError(f"{form}: nothing written: {parity.words()}{allowed}")


def _inputs(photos: Sequence[str], manifest: Manifest) -> list[np.ndarray]:
    """Compute the network's input for some of the photos, each float32 [1, 3, size, size]."""
    chosen = evenly(photos, MAX_CALIBRATING)
    batches = iter_inputs(chosen, manifest.preprocess, batch_size=1, on_error=lambda i, e: None)
    if not (found := [inputs for _, inputs in batches]):
        raise DataError(f"none of the {len(photos)} photos to calibrate with can be read")
    return found


def labeled_photos(data: str | os.PathLike[str] | PhotoIndex | None, taxonomy: Taxonomy) -> tuple[list[str], list[int]]:
    """Return the photos to check an export with, and the leaf of each, -1 if it is not known.

    :raises DataError: the folder has no photos.
    """
    if isinstance(data, PhotoIndex):
        records = evenly(data.records, MAX_PHOTOS)
        return [r.path for r in records], [taxonomy.leaf_index(r.species, r.breed) for r in records]
    photos = photos_to_check(data)
    return photos, _leaves(photos, taxonomy)


def _leaves(photos: Sequence[str], taxonomy: Taxonomy) -> list[int]:
    """Return the leaf that each photo's folders name, as in ``SPECIES/BREED/photo``; -1 if they name none."""
    known: dict[tuple[str, ...], int] = {
        (leaf.species, leaf.breed): i for i, leaf in enumerate(taxonomy.leaves) if leaf.breed
    }
    folders = (Path(photo.removeprefix(DEMO_PREFIX)).parts[-3:-1] for photo in photos)
    return [known.get(names, UNKNOWN_LEAF) for names in folders]
