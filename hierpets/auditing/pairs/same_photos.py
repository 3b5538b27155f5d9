"""Finds copies of a photo: leaks between splits, label conflicts, and duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hierpets.auditing.findings import AuditFinding
from hierpets.auditing.images.image_stats import ImageStats
from hierpets.auditing.pairs.duplicates import How, Pair, components, confirmed_pairs, exact_pairs
from hierpets.auditing.settings import AuditSettings
from hierpets.data.records import PhotoRecord

__all__ = ["check_same_photos", "find_same_photos"]

WORDS: dict[How, str] = {
    "exact": "identical files",
    "near": "near duplicates",
    "mirrored": "mirror images",
    "turned": "turned copies",
}


def find_same_photos(
    stats: Sequence[ImageStats], useful: np.ndarray, features: np.ndarray, settings: AuditSettings
) -> list[Pair]:
    """Find pairs of rows of ``stats`` that show the same photo.

    Exact copies are found among all readable files. Near duplicates are found among ``useful``, the rows int64 [M] of
    photos that show something and have ``features`` [M, D], without exact copies.
    """
    readable = [row for row, one in enumerate(stats) if one.error is None]
    exact = _renumbered(exact_pairs([stats[row].content for row in readable]), readable)
    copies = {pair.second for pair in exact}
    originals = [i for i, row in enumerate(useful) if row not in copies]
    rows = [int(useful[i]) for i in originals]
    near = confirmed_pairs(
        [stats[row].phash or "0" for row in rows],
        [stats[row].mirrored_phash or "0" for row in rows],
        [stats[row].turned_phashes for row in rows],
        features[originals],
        within=settings.hash_distance,
        same=settings.same_photo,
    )
    return exact + _renumbered(near, rows)


def check_same_photos(records: Sequence[PhotoRecord], pairs: Sequence[Pair]) -> Iterator[AuditFinding]:
    """Yield a finding for each set of copies, or two if it is both a leak and a label conflict."""
    for group in components(pairs):
        members = set(group)
        inside = [pair for pair in pairs if pair.first in members]
        photos = tuple(records[row] for row in group)
        how = max((pair.how for pair in inside), key=list(WORDS).index)
        similarity = min(pair.similarity for pair in inside)
        detail = {"how": how, "similarity": round(similarity, 4)}
        splits = sorted({photo.split or "train" for photo in photos})  # photos without a split are used for training
        labels = sorted({str(photo.label) for photo in photos})
        if len(splits) > 1:
            yield AuditFinding.of("leak", photos, f"{WORDS[how]} in {' and '.join(splits)}", similarity, detail)
        if len(labels) > 1:
            yield AuditFinding.of(
                "label_conflict", photos, f"{WORDS[how]} labeled {' and '.join(labels)}", similarity, detail
            )
        if len(splits) < 2 and len(labels) < 2:
            yield AuditFinding.of("duplicate", photos, f"{len(photos)} {WORDS[how]}", similarity, detail)


def _renumbered(pairs: Sequence[Pair], rows: Sequence[int]) -> list[Pair]:
    return [replace(pair, first=rows[pair.first], second=rows[pair.second]) for pair in pairs]
