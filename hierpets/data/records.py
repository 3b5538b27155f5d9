"""Labeled photos: one record per photo, and the index that gives them columns in a taxonomy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from hierpets.errors import DataError
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["SPLITS", "PhotoIndex", "PhotoRecord", "together"]

SPLITS = ("train", "val", "test")
Individual = tuple[Leaf, str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class PhotoRecord:
    """One photo and what is known of it. ``breed`` None: not stated. ``split`` None: not assigned yet. ``individual``:
    which animal of its class it shows, by a name or number; its photos belong on one side of every split.
    """

    path: str
    species: str
    breed: str | None = None
    split: str | None = None
    individual: str | None = None

    @property
    def label(self) -> Leaf:
        return Leaf(self.species, self.breed)

    @property
    def of_individual(self) -> Individual:
        """What all photos of an individual share, and nothing else does: two breeds may each have a Max."""
        return self.label, self.individual or "", "" if self.individual else self.path


@dataclass(frozen=True)
class PhotoIndex:
    """Photos in order, each with a label that ``taxonomy`` knows."""

    taxonomy: Taxonomy
    records: tuple[PhotoRecord, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def paths(self) -> list[str]:
        return [record.path for record in self.records]

    def labels(self) -> Labels:
        """species int64 [N] and leaf int64 [N], ``UNKNOWN_LEAF`` where the species has breeds and none is stated."""
        tree = self.taxonomy
        return Labels(
            species=np.array([tree.species_index(r.species) for r in self.records], np.int64),
            leaf=np.array([tree.leaf_index(r.species, r.breed) for r in self.records], np.int64),
            species_names=tree.species,
            leaf_names=tuple(str(leaf) for leaf in tree.leaves),
            groups=self._groups(),
        )

    def _groups(self) -> np.ndarray | None:
        """int64 [N]: the row of the first photo of the same individual; None where none has another photo."""
        first: dict[Individual, int] = {}
        rows = [
            row if record.individual is None else first.setdefault(record.of_individual, row)
            for row, record in enumerate(self.records)
        ]
        groups = np.array(rows, np.int64)
        return None if (groups == np.arange(len(groups))).all() else groups

    def where(self, kept: Callable[[PhotoRecord], bool]) -> PhotoIndex:
        """Those of the photos that are ``kept``, in their order; the classes stay the same."""
        return replace(self, records=tuple(filter(kept, self.records)))

    def of_individuals(self, found: Mapping[str, str]) -> PhotoIndex:
        """The same photos, those whose path is in ``found`` as of that individual."""
        known = (replace(record, individual=found.get(record.path, record.individual)) for record in self.records)
        return replace(self, records=tuple(known))

    @property
    def to_learn_from(self) -> PhotoIndex:
        """The photos for training: also those of no split."""
        return self.where(lambda record: record.split in (None, "train"))

    def subset(self, split: str) -> PhotoIndex:
        """The photos of one split, ``train``, ``val`` or ``test``, or of ``all``; their order is kept."""
        if split == "all":
            return self
        if split not in SPLITS:
            raise DataError(f"unknown split {split!r}; known: {', '.join((*SPLITS, 'all'))}")
        return self.where(lambda record: record.split == split)

    def without_breeds(self) -> PhotoIndex:
        """The same photos with their species alone: what ``--levels species`` learns."""
        return PhotoIndex(self.taxonomy.without_breeds(), tuple(replace(r, breed=None) for r in self.records))

    def counts(self) -> dict[Leaf, int]:
        """Photos per label: every leaf of the taxonomy, zeros too, then species whose breed is not stated, if any."""
        seen = Counter(self.leaf_of(record) for record in self.records)
        return {leaf: seen.pop(leaf, 0) for leaf in self.taxonomy.leaves} | dict(sorted(seen.items()))

    def leaf_of(self, record: PhotoRecord) -> Leaf:
        """The record's label as the taxonomy sees it: no breed where the species has none."""
        return record.label if self.taxonomy.tree[record.species] else Leaf(record.species, None)


def together(items: Iterable[T], whose: Callable[[T], Hashable]) -> list[list[T]]:
    """The items of a class that are of one individual, ``whose`` they are, in the order of the first of each; if all
    are of one, each by itself, for nothing could be held out.
    """
    units: dict[Hashable, list[T]] = {}
    for item in items:
        units.setdefault(whose(item), []).append(item)
    return list(units.values()) if len(units) > 1 else [[item] for unit in units.values() for item in unit]


def index_of(records: Iterable[PhotoRecord], declared: Iterable[Leaf] = ()) -> PhotoIndex:
    """An index whose taxonomy is made of the records' labels and of classes ``declared`` without a photo."""
    records = tuple(records)
    pairs = {*declared, *(record.label for record in records)}
    try:
        return PhotoIndex(Taxonomy.from_pairs(pairs), records)
    except ValueError as error:  # pydantic's, whose text says which name
        raise DataError(f"invalid names: {error}") from None
