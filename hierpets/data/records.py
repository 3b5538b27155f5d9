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
    """One photo and what is known of it. ``breed`` None: not stated. ``split`` None: not assigned yet. ``individual``
    is a name or number of the animal within its class; all photos of an animal belong on one side of every split.
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
        """A key that all photos of an individual share and no others: two breeds may each have a Max."""
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
        """Return species int64 [N] and leaf int64 [N]; ``UNKNOWN_LEAF`` for a species with breeds if none is stated."""
        tree = self.taxonomy
        return Labels(
            species=np.array([tree.species_index(r.species) for r in self.records], np.int64),
            leaf=np.array([tree.leaf_index(r.species, r.breed) for r in self.records], np.int64),
            species_names=tree.species,
            leaf_names=tuple(str(leaf) for leaf in tree.leaves),
            groups=self._groups(),
        )

    def _groups(self) -> np.ndarray | None:
        """Return the row of the first photo of the same individual, int64 [N]; None if each has only one photo."""
        first: dict[Individual, int] = {}
        rows = [
            row if record.individual is None else first.setdefault(record.of_individual, row)
            for row, record in enumerate(self.records)
        ]
        groups = np.array(rows, np.int64)
        return None if (groups == np.arange(len(groups))).all() else groups

    def where(self, kept: Callable[[PhotoRecord], bool]) -> PhotoIndex:
        """Select the photos that are ``kept``, in their order; the classes stay the same."""
        return replace(self, records=tuple(filter(kept, self.records)))

    def of_individuals(self, found: Mapping[str, str]) -> PhotoIndex:
        """Assign photos to individuals: ``found`` maps paths to them."""
        known = (replace(record, individual=found.get(record.path, record.individual)) for record in self.records)
        return replace(self, records=tuple(known))

    @property
    def to_learn_from(self) -> PhotoIndex:
        """The photos for training: also those of no split."""
        return self.where(lambda record: record.split in (None, "train"))

    def subset(self, split: str) -> PhotoIndex:
        """Select the photos of one split, ``train``, ``val`` or ``test``, or of ``all``, in their order."""
        if split == "all":
            return self
        if split not in SPLITS:
            raise DataError(f"unknown split {split!r}; known: {', '.join((*SPLITS, 'all'))}")
        return self.where(lambda record: record.split == split)

    def without_breeds(self) -> PhotoIndex:
        """Return the same photos labeled by species alone, as ``--levels species`` learns them."""
        return PhotoIndex(self.taxonomy.without_breeds(), tuple(replace(r, breed=None) for r in self.records))

    def counts(self) -> dict[Leaf, int]:
        """Count photos per label: every leaf of the taxonomy, zeros too, then species without a stated breed."""
        seen = Counter(self.leaf_of(record) for record in self.records)
        return {leaf: seen.pop(leaf, 0) for leaf in self.taxonomy.leaves} | dict(sorted(seen.items()))

    def leaf_of(self, record: PhotoRecord) -> Leaf:
        """Return the record's label in the taxonomy: without a breed if the species has none."""
        return record.label if self.taxonomy.tree[record.species] else Leaf(record.species, None)


def together(items: Iterable[T], whose: Callable[[T], Hashable]) -> list[list[T]]:
    """Group the items of a class by the individual, ``whose`` each is, in the order of first occurrence. If all are of
    one individual, each item is a group of its own, as nothing could be held out otherwise.
    """
    units: dict[Hashable, list[T]] = {}
    for item in items:
        units.setdefault(whose(item), []).append(item)
    return list(units.values()) if len(units) > 1 else [[item] for unit in units.values() for item in unit]


def index_of(records: Iterable[PhotoRecord], declared: Iterable[Leaf] = ()) -> PhotoIndex:
    """Build an index; its taxonomy has the labels of the records and classes ``declared`` without a photo."""
    records = tuple(records)
    pairs = {*declared, *(record.label for record in records)}
    try:
        return PhotoIndex(Taxonomy.from_pairs(pairs), records)
    except ValueError as error:  # pydantic's, whose text says which name
        raise DataError(f"invalid names: {error}") from None
