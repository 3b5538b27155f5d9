"""Evaluate a model on labeled photos: predict them, compute every metric, write the report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.config import BUNDLE_FOLDER, CONFIG_FILE
from hierpets.data.content import content_key
from hierpets.data.labeled.index import check_apart, read_index
from hierpets.data.listing import find_photos
from hierpets.data.photos import NamedPhoto, read_photo
from hierpets.data.records import PhotoIndex
from hierpets.errors import ConfigError, DataError, did_you_mean
from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.predictions import OODPredictions, Predictions, to_predictions
from hierpets.evaluation.report.writing import REPORT_FILE, write_evaluation
from hierpets.evaluation.result import Evaluation
from hierpets.evaluation.seen import DigestOf, check_seen, without_seen
from hierpets.evaluation.stress.measure import measure_stress
from hierpets.explain.lazy import lazy_overlay
from hierpets.files import check_output
from hierpets.inference.engines.base import EngineOptions
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.inference.record import printable
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.text import counted
from hierpets.validation.arguments import checked
from hierpets.workers import cores

__all__ = ["Evaluation", "Split", "evaluate", "read_labeled"]

Split = Literal["test", "val", "all"]
StrPath = str | os.PathLike[str]
GALLERY_SIDE = 320  # pixels of the shorter side that the report's gallery needs


@checked
def evaluate(
    model: StrPath | Predictor | None,
    data: StrPath,
    *,
    split: Split | None = None,
    ood: StrPath | None = None,
    stress: bool = False,
    keep_seen: bool = False,
    out: StrPath | None = None,
    registry: Registry | StrPath | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
    **engine: Any,
) -> Evaluation:
    """Evaluate a model on labeled photos, at every level.

    ``model`` is a bundle folder, None for the released one, or a loaded predictor. ``data`` is a folder
    ``SPECIES/BREED/photo.jpg``, a CSV, ``"demo"``, or a source of one of the readers. ``split`` is ``test``, ``val``
    (photos that training held out) or ``all``; by default ``test`` if the data has that split, else ``all``.
    ``ood`` is a folder of photos that show no known pet, optionally in subfolders by kind. ``stress`` also evaluates
    corrupted copies of some photos (smaller, softer, darker and so on), which takes minutes (``docs/metrics.md``).
    Photos that the model was fitted to are counted and left out, unless ``keep_seen`` is given. With ``out``,
    ``metrics.json``, ``predictions.jsonl``, ``report.html`` and ``figures/`` are written to that folder. ``engine`` are
    further arguments of :func:`hierpets.load`: ``engine``, ``device``, ``precision``, ``compile``.

    Unreadable photos do not raise an error: they are skipped and listed in ``Evaluation.unreadable``.

    :raises DataError: there are no photos, the model was fitted to all of them, or it does not know a label.
    :raises ConfigError: ``out`` exists and ``overwrite`` is not given, or it is inside the data; or the model has no
        pet score for ``ood``.
    :raises BundleError: the bundle is missing or damaged.
    :raises RegistryError, DeviceError: as for :func:`hierpets.load`.
    """
    folder = Path(out) if out is not None else None
    if folder is not None:
        _check_folder(folder, overwrite=overwrite)
        check_apart(folder, data)
        if ood is not None:
            check_apart(folder, ood)
    plugins = load_registry(registry)
    predictor = _predictor(model, plugins, engine)
    ood_paths = _find_ood_photos(ood, predictor.manifest) if ood is not None else []
    bundle, digest_of = predictor.bundle, cache(content_key)  # each digest is needed up to three times
    index = read_labeled(data, predictor.manifest, bundle=bundle, split=split, registry=plugins, digest_of=digest_of)
    index, seen = check_seen(index, bundle, keep=keep_seen, digest_of=digest_of)
    predictions, unreadable = _predict_index(predictor, index, progress=progress)
    predictions = replace(predictions, digests=tuple(map(digest_of, predictions.paths)))
    unknowns, unreadable_ood = (
        _predict_ood(predictor, ood_paths, ood, progress=progress) if ood is not None else (None, [])
    )
    left_out = (*unreadable, *unreadable_ood)
    about = {
        **({"bundle": str(bundle)} if bundle else {}),
        "data": str(data),
        "split": split or _split_of(index),
        **({"recipe": str(predictor.manifest.selection)} if predictor.manifest.selection else {}),
        **({"out-of-distribution photos": str(ood)} if ood is not None else {}),
        **({"left out": f"{counted(len(left_out), 'photo')} that cannot be read"} if left_out else {}),
    }
    metrics = evaluate_predictions(
        predictions,
        alpha=predictor.manifest.policy.promised,
        ood=unknowns,
        seen=seen,
        model=predictor.model,
        about=about,
    )
    overlay = lazy_overlay(bundle, registry=plugins) if bundle else None
    photos = partial(read_photo, shorter_side=GALLERY_SIDE)
    if folder is not None:
        write_evaluation(folder, predictions, metrics, photos=photos, overlay=overlay)
    if stress:  # last, since it takes minutes: if it is interrupted, the rest has been written
        measured = measure_stress(partial(_predict_pixels, predictor), index, progress=progress)
        metrics = metrics.model_copy(update={"stress": measured})
        if folder is not None:
            write_evaluation(folder, predictions, metrics, photos=photos, overlay=overlay)
    report = folder / REPORT_FILE if folder is not None else None
    return Evaluation(metrics, predictions, unknowns, left_out, report)


def read_labeled(
    data: StrPath,
    manifest: Manifest,
    *,
    bundle: StrPath | None = None,
    split: Split | None = None,
    registry: Registry | None = None,
    digest_of: DigestOf = content_key,
) -> PhotoIndex:
    """Read the photos to evaluate a model on, with their labels as indices of its taxonomy.

    Without ``split``, these are the test photos if the data names a split ``test``, else all. If the data names no
    split ``val``, ``val`` selects the photos that training held out: those for training that the ``bundle`` was not
    fitted to. ``digest_of`` computes the digest of a photo.

    :raises DataError: no photos in that split, or labels that the bundle does not know.
    """
    index = read_index(data, taxonomy=manifest.taxonomy, registry=registry)
    splits = sorted({record.split for record in index.records if record.split})
    if split == "val" and "val" not in splits:
        held_out = without_seen(index.to_learn_from, bundle, digest_of=digest_of)
        if held_out is None:
            raise DataError(f"{data}: names no split val, and the bundle does not say which photos it was fitted to")
        if not len(held_out):
            raise DataError(f"{data}: the model was fitted to all of its photos; measure others")
        return held_out
    wanted = split or ("test" if "test" in splits else "all")
    chosen = index.subset(wanted)
    if not len(chosen):
        raise DataError(f"{data}: no photos in split {wanted!r}; it names {', '.join(splits) or 'no splits'}")
    return chosen


def _find_ood_photos(folder: StrPath, manifest: Manifest) -> list[str]:
    """Find the out-of-distribution photos of a folder, before anything is predicted.

    :raises ConfigError: the model has no pet score.
    :raises DataError: the folder has no photos.
    """
    if manifest.ood is None:
        raise ConfigError("this model has no pet score to measure on out-of-distribution photos; train it again")
    if not (paths := find_photos(folder)):
        raise DataError(f"{folder}: no photos in this folder")
    return paths


def _predict_ood(
    predictor: Predictor, paths: Sequence[str], folder: StrPath, *, progress: Progress
) -> tuple[OODPredictions, list[Prediction]]:
    """Predict out-of-distribution photos, whose kind is their subfolder of ``folder``; also return unreadable ones."""
    good, unreadable = _predict(predictor, paths, "out-of-distribution photos", progress)
    return OODPredictions(
        paths=tuple(p.path for p in good),
        pet_score=np.array([p.pet_score for p in good if p.pet_score is not None]),
        level=np.array([p.level for p in good]),
        kind=tuple(_kind(p.path, folder) for p in good),
    ), unreadable


def _kind(path: str, folder: StrPath) -> str:
    """Return a photo's subfolder of ``folder``; for a photo without one, the name of ``folder`` itself."""
    inside = Path(path).parent.relative_to(folder)
    return printable(inside.as_posix() if inside.parts else Path(folder).resolve().name)


def _predict_index(
    predictor: Predictor, index: PhotoIndex, *, progress: Progress
) -> tuple[Predictions, list[Prediction]]:
    """Predict every photo of an index; return the predictions with their labels, and the unreadable photos."""
    good, unreadable = _predict(predictor, index.paths, "photos", progress)
    skipped = {p.path for p in unreadable}
    kept = index.where(lambda record: record.path not in skipped)
    return _with_labels(predictor, kept, good), unreadable


def _predict_pixels(predictor: Predictor, index: PhotoIndex, photos: Iterable[NamedPhoto]) -> Predictions:
    """Predict changed versions of the photos of an index, given as pixels; return them with the photos' labels.

    :raises HierpetsError: the model fails on one of them; that is an error, not a wrong prediction.
    """
    found = list(predictor.stream(photos))
    for one in found:
        if one.error is not None:
            raise one.error
    return _with_labels(predictor, index, found)


def _with_labels(predictor: Predictor, index: PhotoIndex, good: Sequence[Prediction]) -> Predictions:
    joint = np.stack([p.joint for p in good if p.joint is not None])
    decisions = [p.decision for p in good if p.decision is not None]
    pet_score = np.array([p.pet_score for p in good if p.pet_score is not None]) if predictor.manifest.ood else None
    return to_predictions(index.paths, index.labels(), joint, decisions, taxonomy=index.taxonomy, pet_score=pet_score)


def _predict(
    predictor: Predictor, paths: Sequence[str], task: str, progress: Progress
) -> tuple[list[Prediction], list[Prediction]]:
    """Return the predictions of the photos that could be read, at least one, and of those that could not.

    :raises DataError: none could be read.
    """
    found = []
    progress(task, 0, len(paths))
    for prediction in predictor.stream(paths):
        found.append(prediction)
        progress(task, len(found), len(paths))
    good = [p for p in found if p.error is None]
    if not good:
        raise DataError(f"none of the {len(found)} {task} can be read; the first: {found[0].error}")
    return good, [p for p in found if p.error is not None]


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if (folder / CONFIG_FILE).is_file() and (folder / BUNDLE_FOLDER).is_dir():
        raise ConfigError(f"{folder}: is a training run, whose metrics.json would be lost; use {folder / 'evaluation'}")
    check_output(folder, overwrite=overwrite)
    check_output(folder / REPORT_FILE, overwrite=True)


def _predictor(model: StrPath | Predictor | None, registry: Registry, engine: dict[str, Any]) -> Predictor:
    known = EngineOptions.__dataclass_fields__
    if unknown := [name for name in engine if name not in known]:
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(f"{unknown[0]}: no argument of evaluate, nor one for hierpets.load: {', '.join(known)}{hint}")
    if not isinstance(model, Predictor):
        return load(model, registry=registry, recommend=False, workers=cores(), **engine)
    if engine:
        raise ConfigError(f"{', '.join(engine)}: pass it to hierpets.load; this predictor is already loaded")
    return model


def _split_of(index: PhotoIndex) -> Split:
    """The split that :func:`read_labeled` chose by default."""
    return "test" if all(record.split == "test" for record in index.records) else "all"
