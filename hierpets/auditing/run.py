"""An audit from end to end: image statistics of every photo, then checks of labels and duplicates on features."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from hierpets.auditing.balance import count_levels, suggest_sampler
from hierpets.auditing.findings import AUDIT_FILE, PAGE_FILE, Audit, AuditFinding
from hierpets.auditing.images.image_checks import BLANK, check_image
from hierpets.auditing.images.stats_cache import collect_stats
from hierpets.auditing.labels.label_checks import check_labels, check_outliers
from hierpets.auditing.page import render_page
from hierpets.auditing.pairs.duplicates import Pair, components
from hierpets.auditing.pairs.same_photos import check_same_photos, find_same_photos
from hierpets.auditing.settings import AuditSettings
from hierpets.data.labeled.index import check_apart, read_index
from hierpets.data.records import PhotoIndex
from hierpets.files import cache_dir, check_output, write_all
from hierpets.inference.engines.base import Device, choose_device
from hierpets.model.backbone import build_backbone
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.individuals import likeness_of_shots
from hierpets.validation.arguments import checked

__all__ = ["BACKBONE", "audit"]

BACKBONE = "efficientnet_lite0"  # the fastest of the embedded ones
SAMPLER = "breed_balanced"


@checked
def audit(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    backbone: str = BACKBONE,
    device: Device = "auto",
    registry: Registry | str | os.PathLike[str] | None = None,
    settings: AuditSettings | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Audit:
    """Find problems in labeled photos: a folder ``SPECIES/BREED/photo.jpg``, a CSV, ``demo``, or what a
    reader knows.

    With ``out``, a folder, ``audit.json`` and ``audit.html`` are written there; ``overwrite`` replaces older ones.
    ``backbone`` is the plugin whose features are compared. Image statistics and features are cached as they are
    computed, so that an interrupted audit continues where it stopped. Memory holds a few photos at a time, and
    one feature vector per photo.

    :raises ConfigError: ``out`` already holds an audit, lies among the photos, or cannot be written.
    :raises DataError: no labeled photos found, or labels that contradict each other.
    :raises PluginError: the backbone plugin fails.
    """
    if out is not None:
        check_output(Path(out) / AUDIT_FILE, overwrite=overwrite)
        check_apart(out, data)
    plugins = load_registry(registry)
    result = _run(os.fspath(data), backbone, choose_device(device), plugins, settings or AuditSettings(), progress)
    if out is not None:
        document = json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_all(Path(out), {AUDIT_FILE: document, PAGE_FILE: render_page(result)})
    return result


def _run(
    source: str, backbone: str, device: str, registry: Registry, settings: AuditSettings, progress: Progress
) -> Audit:
    index = read_index(source, registry=registry)
    stats = collect_stats(index.paths, cache_dir(), workers=settings.workers, progress=progress)
    images = [finding for r, s in zip(index.records, stats, strict=True) for finding in check_image(r, s, settings)]
    useless = {finding.photos[0].path for finding in images if finding.kind in ("unreadable", *BLANK)}
    useful = np.flatnonzero([record.path not in useless for record in index.records])
    features, within = _features([index.paths[row] for row in useful], registry, backbone, device, progress)
    pairs = find_same_photos(stats, useful, features, settings)
    labels, notes = _check_features(index, useful, features, within, pairs, registry, settings)
    levels = count_levels(index)
    return Audit(
        source=source,
        backbone=backbone,
        photos=len(index),
        splits=dict(Counter(record.split for record in index.records if record.split)),
        levels=levels,
        suggestion=suggest_sampler(levels),
        findings=(*images, *check_same_photos(index.records, pairs), *labels),
        notes=tuple(notes),
    )


def _features(
    paths: list[str], registry: Registry, backbone: str, device: str, progress: Progress
) -> tuple[np.ndarray, float]:
    """float32 [N, D] of N photos, and the distance below which two are too alike to be of two animals."""
    built, spec = build_backbone(registry, backbone, {})
    if not paths:
        return np.empty((0, spec.feature_dim), np.float32), 0.0
    extractor = FeatureExtractor(built, device)
    features = extractor.features(paths, progress=progress)
    return features, likeness_of_shots(extractor, paths, features, progress=progress)


def _check_features(
    index: PhotoIndex,
    useful: np.ndarray,
    features: np.ndarray,
    within: float,
    pairs: list[Pair],
    registry: Registry,
    settings: AuditSettings,
) -> tuple[list[AuditFinding], list[str]]:
    """Outliers and suspected label errors of the ``useful`` rows. An outlier is no label error: it may be no pet."""
    shown = replace(index, records=tuple(index.records[row] for row in useful))
    at = {row: i for i, row in enumerate(useful.tolist())}
    groups = [[at[row] for row in group if row in at] for group in components(pairs)]
    outliers = check_outliers(shown, features, settings)
    errors, notes = check_labels(
        shown,
        features,
        [group for group in groups if group],
        within=within,
        weigh=registry.get("sampler", SAMPLER).call,
        settings=settings,
    )
    outlying = {finding.photos[0].path for finding in outliers}
    return [*outliers, *(error for error in errors if error.photos[0].path not in outlying)], notes
