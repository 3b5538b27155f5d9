"""Examines photos for an audit: image statistics of every photo, then checks of labels and duplicates on features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hierpets.auditing.balance import count_levels, suggest_sampler
from hierpets.auditing.findings import Audit, AuditFinding, count_kinds, ranked
from hierpets.auditing.images.image_checks import BLANK, check_image
from hierpets.auditing.images.stats_cache import collect_stats
from hierpets.auditing.labels.label_checks import check_labels, check_outliers
from hierpets.auditing.pairs.duplicates import Pair, components
from hierpets.auditing.pairs.same_photos import check_same_photos, find_same_photos
from hierpets.auditing.settings import AuditSettings
from hierpets.data.labeled.alike import find_lookalikes
from hierpets.data.records import PhotoIndex
from hierpets.files import cache_dir
from hierpets.model.backbone import build_backbone
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.taxonomy import Leaf
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.individuals import likeness_of_shots

__all__ = ["examine_photos"]

SAMPLER = "breed_balanced"


def examine_photos(
    data: str,
    index: PhotoIndex,
    backbone: str,
    device: str,
    registry: Registry,
    settings: AuditSettings,
    progress: Progress,
) -> Audit:
    """Examine the photos of ``index``, which were read from ``data``."""
    stats = collect_stats(index.paths, cache_dir(), workers=settings.workers, progress=progress)
    images = [finding for r, s in zip(index.records, stats, strict=True) for finding in check_image(r, s, settings)]
    useless = {finding.photos[0].path for finding in images if finding.kind in ("unreadable", *BLANK)}
    useful = np.flatnonzero([record.path not in useless for record in index.records])
    features, within = _features([index.paths[row] for row in useful], registry, backbone, device, progress)
    pairs = find_same_photos(stats, useful, features, settings)
    labels, notes = _check_features(index, useful, features, within, pairs, registry, settings)
    unreadable = {finding.photos[0].path for finding in images if finding.kind == "unreadable"}
    levels = count_levels(index.where(lambda record: record.path not in unreadable))
    findings = ranked((*images, *check_same_photos(index.records, pairs), *_check_names(index), *labels))
    return Audit(
        data=data,
        backbone=backbone,
        photos=len(index),
        splits=dict(Counter(record.split for record in index.records if record.split)),
        levels=levels,
        sampler=suggest_sampler(levels),
        summary=count_kinds(findings),
        findings=findings,
        notes=tuple(notes),
    )


def _check_names(index: PhotoIndex) -> Iterator[AuditFinding]:
    """Find classes whose names are probably misspellings of other classes, each with its first photo."""
    found = find_lookalikes(index.taxonomy)
    for record in index.records:
        for leaf in dict.fromkeys((Leaf(record.species, None), record.label)):
            if leaf in found:
                yield AuditFinding.of("misspelled", (record,), found.pop(leaf))


def _features(
    paths: list[str], registry: Registry, backbone: str, device: str, progress: Progress
) -> tuple[np.ndarray, float]:
    """Compute the features of N photos, float32 [N, D], and the distance below which two of them probably show the same
    animal.
    """
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
    """Find outliers and suspected label errors among the ``useful`` rows. An outlier is not reported as a label error,
    since it may not even show a pet.
    """
    checked = replace(index, records=tuple(index.records[row] for row in useful))
    position = {row: i for i, row in enumerate(useful.tolist())}
    groups = [[position[row] for row in group if row in position] for group in components(pairs)]
    outliers = check_outliers(checked, features)
    errors, notes = check_labels(
        checked,
        features,
        [group for group in groups if group],
        within=within,
        weigh=registry.get("sampler", SAMPLER).call,
        settings=settings,
    )
    outlying = {finding.photos[0].path for finding in outliers}
    return [*outliers, *(error for error in errors if error.photos[0].path not in outlying)], notes
