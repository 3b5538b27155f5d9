"""Draw train, val and test: stratified, seeded, and the same whatever the order of the files."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import PurePath

from hierpets.data.records import PhotoIndex, PhotoRecord, together
from hierpets.errors import DataError
from hierpets.taxonomy import Leaf
from hierpets.text import join_words

__all__ = ["check_trainable", "draw_evenly", "split_index"]


def split_index(index: PhotoIndex, *, seed: int = 0, val: float = 0.15, test: float = 0.0) -> PhotoIndex:
    """Give every photo a split. Order and given splits are kept.

    Photos without a split are assigned label by label: ``val`` and ``test`` are fractions of each label, rounded, and
    at least one photo stays in train. The photos of an individual stay together, unless its label has no other. A split
    that the data already has is not drawn again. Where every photo has a split but none is ``val``, validation photos
    are taken from train.

    :raises DataError: fractions that leave nothing to train on.
    """
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise DataError(f"expected fractions with val + test below 1, got val={val}, test={test}")
    index = _beside_siblings(index)
    given = {record.split for record in index.records}
    pool = None if None in given else "train"
    shares = {part: share for part, share in (("val", val), ("test", test)) if part not in given}
    if pool == "train":
        shares.pop("test", None)
    drawn = _draw([r for r in index.records if r.split == pool], shares, seed)
    return replace(index, records=tuple(replace(r, split=drawn.get(r, r.split or "train")) for r in index.records))


def check_trainable(index: PhotoIndex, *, breeds: bool = True) -> None:
    """Check that every class has a training photo; photos without a split count as training photos.

    :raises DataError: some classes have none, all of which it names; or there is a single class; or no breed, with
        ``breeds``.
    """
    tree = index.taxonomy
    train = index.to_learn_from
    if breeds and not tree.has_breeds:
        raise DataError(
            f"no photo states its breed, only {join_words(tree.species, limit=5)}; expected SPECIES/BREED/photo.jpg, "
            "or labels SPECIES/BREED: put these classes below their species, or train with --levels species"
        )
    if len(tree.leaves) < 2:
        raise DataError(f"only one class, {tree.leaves[0]}; expected at least two")
    counts = train.counts()
    if empty := [str(leaf) for leaf in tree.leaves if not counts[leaf]]:
        what = "1 class has" if len(empty) == 1 else f"{len(empty)} classes have"
        raise DataError(f"{what} no training photo: {', '.join(empty)}; add photos, or remove the class")


def draw_evenly(index: PhotoIndex) -> list[PhotoRecord]:
    """Return all photos in a random order in which the first of every class come before the second of any, so that the
    first few are balanced.

    It does not depend on the order of the files.
    """
    places: Counter[Leaf] = Counter()
    numbered = []
    for record in sorted(index.records, key=lambda record: _shuffle_key(record, seed=0)):
        numbered.append((places[record.label], record))
        places[record.label] += 1
    return [record for _, record in sorted(numbered, key=lambda item: item[0])]


def _draw(records: list[PhotoRecord], shares: dict[str, float], seed: int) -> dict[PhotoRecord, str]:
    labels: dict[Leaf, list[PhotoRecord]] = defaultdict(list)
    for record in records:
        labels[record.label].append(record)
    drawn: dict[PhotoRecord, str] = {}
    for photos in labels.values():
        shuffled = sorted(photos, key=lambda record: _shuffle_key(record, seed))
        units = together(shuffled, lambda record: record.of_individual)
        for part, share in shares.items():
            wanted, kept = math.floor(len(photos) * share + 0.5), []
            for unit in units[:-1]:  # one stays in train
                if wanted < len(unit) / 2:  # as close to the fraction as whole units allow
                    kept.append(unit)
                    continue
                wanted -= len(unit)
                drawn.update((record, part) for record in unit)
            units = [*kept, units[-1]]
    return drawn


def _beside_siblings(index: PhotoIndex) -> PhotoIndex:
    """Assign photos without a split to the split that the data gives to others of their individual."""
    given = {record.of_individual: record.split for record in index.records if record.split}
    records = (replace(record, split=record.split or given.get(record.of_individual)) for record in index.records)
    return replace(index, records=tuple(records))


def _shuffle_key(record: PhotoRecord, seed: int) -> tuple[bytes, str]:
    """Return a random sort key from the photo's label and file name; it does not depend on the folder of the data."""
    name = f"{seed}/{record.species}/{record.breed or ''}/{PurePath(record.path).name}"
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), record.path
