"""Sets of the same photo, judged: a leak between splits, a label conflict, or an idle copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hierpets.auditing.findings import Finding
from hierpets.auditing.images.image_stats import Facts
from hierpets.auditing.pairs.duplicates import How, Pair, components, confirmed_pairs, exact_pairs
from hierpets.auditing.settings import AuditSettings
from hierpets.data.index import PhotoRecord

__all__ = ["find_same_photos", "judge_same_photos"]

WORDS: dict[How, str] = {
    "exact": "the same bytes",
    "near": "the same picture, or the next of a burst,",
    "mirrored": "the same picture, mirrored,",
}


def find_same_photos(
    facts: Sequence[Facts], telling: np.ndarray, features: np.ndarray, settings: AuditSettings
) -> list[Pair]:
    """Pairs of rows of ``facts`` that show the same photo.

    Exact ones among all readable files; near ones among ``telling``, rows int64 [M] of photos that show something,
    whose features are [M, D], taking one file of each content.
    """
    readable = [row for row, fact in enumerate(facts) if fact.error is None]
    exact = _renumbered(exact_pairs([facts[row].content for row in readable]), readable)
    copies = {pair.second for pair in exact}
    single = [at for at, row in enumerate(telling) if row not in copies]
    rows = [int(telling[at]) for at in single]
    near = confirmed_pairs(
        [facts[row].phash or "0" for row in rows],
        [facts[row].mirrored_phash or "0" for row in rows],
        features[single],
        within=settings.hash_distance,
        same=settings.same_photo,
    )
    return exact + _renumbered(near, rows)


def judge_same_photos(records: Sequence[PhotoRecord], pairs: Sequence[Pair]) -> Iterator[Finding]:
    """One finding for each set of same photos, two where it is both a leak and a label conflict."""
    for group in components(pairs):
        members = set(group)
        inside = [pair for pair in pairs if pair.first in members]
        photos = tuple(records[row] for row in group)
        how = max((pair.how for pair in inside), key=list(WORDS).index)
        similarity = min(pair.similarity for pair in inside)
        detail = {"how": how, "similarity": round(similarity, 4)}
        splits = sorted({photo.split for photo in photos if photo.split})
        labels = sorted({str(photo.label) for photo in photos})
        if len(splits) > 1:
            yield Finding("leak", photos, f"{WORDS[how]} in {' and '.join(splits)}", similarity, detail)
        if len(labels) > 1:
            yield Finding("label_conflict", photos, f"{WORDS[how]} as {' and '.join(labels)}", similarity, detail)
        if len(splits) < 2 and len(labels) < 2:
            yield Finding("duplicate", photos, f"{WORDS[how]} {len(photos)} times", similarity, detail)


def _renumbered(pairs: Sequence[Pair], rows: Sequence[int]) -> list[Pair]:
    return [replace(pair, first=rows[pair.first], second=rows[pair.second]) for pair in pairs]
