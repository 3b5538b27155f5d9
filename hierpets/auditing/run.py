"""An audit from end to end: the facts of every photo, then what features say of their labels and of each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from hierpets.auditing.balance import count_levels, suggest_sampler
from hierpets.auditing.findings import Audit, Finding
from hierpets.auditing.images.image_checks import BLANK, judge_looks
from hierpets.auditing.images.stats_cache import survey
from hierpets.auditing.labels.label_checks import judge_labels, judge_strangers
from hierpets.auditing.pairs.duplicates import Pair, components
from hierpets.auditing.pairs.same_photos import find_same_photos, judge_same_photos
from hierpets.auditing.settings import AuditSettings
from hierpets.data.index import PhotoIndex, read_index
from hierpets.model.backbone import build_backbone
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.training.frozen.features import FeatureExtractor

__all__ = ["run_audit"]

SAMPLER = "breed_balanced"


def run_audit(
    source: str,
    out: Path,
    *,
    registry: Registry,
    backbone: str,
    settings: AuditSettings | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Audit:
    """Audit the labeled photos of ``source`` (a folder, a CSV or ``demo``).

    Facts are kept in ``out``, features in the shared cache, both as they are found: an audit that is broken off goes
    on where it stopped. Memory holds a few photos at a time, and one feature vector a photo. ``progress`` is told
    the task, how much of it is done, and how much there is.

    :raises DataError: no labeled photos there.
    :raises PluginError: the backbone plugin fails.
    """
    settings = settings or AuditSettings()
    index = read_index(source)
    facts = survey(index.paths, out, workers=settings.workers, progress=progress)
    looks = [finding for r, f in zip(index.records, facts, strict=True) for finding in judge_looks(r, f, settings)]
    mute = {finding.photos[0].path for finding in looks if finding.kind in ("unreadable", *BLANK)}
    telling = np.flatnonzero([record.path not in mute for record in index.records])
    features = _features(index, telling, registry, backbone, device, progress)
    pairs = find_same_photos(facts, telling, features, settings)
    judged, notes = _judge(index, telling, features, pairs, registry, settings)
    levels = count_levels(index)
    return Audit(
        source=source,
        backbone=backbone,
        photos=len(index),
        splits=dict(Counter(record.split for record in index.records if record.split)),
        levels=levels,
        suggestion=suggest_sampler(levels),
        findings=(*looks, *judge_same_photos(index.records, pairs), *judged),
        notes=tuple(notes),
    )


def _features(
    index: PhotoIndex, telling: np.ndarray, registry: Registry, backbone: str, device: str, progress: Progress
) -> np.ndarray:
    """float32 [M, D] of the M photos that show something."""
    built, spec = build_backbone(registry, backbone, {})
    paths = [index.records[row].path for row in telling]
    if not paths:
        return np.empty((0, spec.feature_dim), np.float32)
    return FeatureExtractor(built, device).features(paths, progress=progress)


def _judge(
    index: PhotoIndex,
    telling: np.ndarray,
    features: np.ndarray,
    pairs: list[Pair],
    registry: Registry,
    settings: AuditSettings,
) -> tuple[list[Finding], list[str]]:
    """Strangers and doubted labels. A stranger's label is not doubted: it is not a question of which pet it shows."""
    shown = replace(index, records=tuple(index.records[row] for row in telling))
    at = {row: i for i, row in enumerate(telling.tolist())}
    groups = [[at[row] for row in group if row in at] for group in components(pairs)]
    strangers = judge_strangers(shown, features, settings)
    doubts, notes = judge_labels(
        shown,
        features,
        [group for group in groups if group],
        weigh=registry.get("sampler", SAMPLER).call,
        settings=settings,
    )
    strange = {finding.photos[0].path for finding in strangers}
    return [*strangers, *(doubt for doubt in doubts if doubt.photos[0].path not in strange)], notes
