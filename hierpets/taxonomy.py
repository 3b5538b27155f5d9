"""The taxonomy: ordered species, each with its ordered breeds, which are the columns of all arrays of hierpets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierpets.errors import DataError, did_you_mean
from hierpets.text import is_printable

__all__ = ["UNKNOWN_LEAF", "Leaf", "Taxonomy", "class_order", "label_problem"]

UNKNOWN_LEAF = -1
"""The leaf index of a photo whose species is known but not its breed."""


class Leaf(NamedTuple):
    """The finest class: a breed, or a species that has no breeds."""

    species: str
    breed: str | None

    def __str__(self) -> str:
        return self.species if self.breed is None else f"{self.species}/{self.breed}"


def class_order(label: Leaf) -> tuple[str, str]:
    """The key that sorts labels; a species without a breed comes first."""
    return label.species, label.breed or ""


def label_problem(name: str) -> str | None:
    """Why a text cannot be the name of a species or breed; None where it can."""
    if not name.strip() or "/" in name:
        return f"the name of a species or breed must not be empty or hold '/', got {name!r}"
    if not is_printable(name):
        return f"the name of a species or breed must not hold a line break, a tab or the like, got {name!r}"
    return None


class Taxonomy(BaseModel):
    """A ragged two-level tree: ``{"cat": ("birman", "siamese"), "rabbit": ()}``.

    Order is part of the value: column ``s`` of a species array is ``species[s]``, column ``l`` of a leaf array
    is ``leaves[l]``. Leaves are grouped by species; a species without breeds is one leaf.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tree: dict[str, tuple[str, ...]] = Field(description="each species, with its breeds")

    @field_validator("tree")
    @classmethod
    def _names_are_valid(cls, tree: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if not tree:
            raise ValueError("a taxonomy needs at least one species")
        for species, breeds in tree.items():
            for name in (species, *breeds):
                if problem := label_problem(name):
                    raise ValueError(problem)
            if len(set(breeds)) != len(breeds):
                raise ValueError(f"species {species!r} lists a breed twice")
        return tree

    def __eq__(self, other: object) -> bool:
        """Whether it has the same classes in the same order; cached properties are not compared."""
        return isinstance(other, Taxonomy) and [*self.tree.items()] == [*other.tree.items()]

    def __hash__(self) -> int:
        return hash((*self.tree.items(),))

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str | None]]) -> Taxonomy:
        """The sorted taxonomy of labeled photos; a breed of ``None`` names the species alone."""
        breeds: dict[str, set[str]] = {}
        for species, breed in pairs:
            breeds.setdefault(species, set()).update([breed] if breed is not None else [])
        return cls(tree={species: tuple(sorted(breeds[species])) for species in sorted(breeds)})

    @cached_property
    def species(self) -> tuple[str, ...]:
        """The S species, in the order of their columns."""
        return tuple(self.tree)

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The L leaves, in the order of their columns."""
        return tuple(Leaf(s, b) for s, breeds in self.tree.items() for b in (breeds or (None,)))

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """For each species, its columns in a leaf array."""
        edges = np.cumsum([0, *self._leaf_counts])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(edges))

    @cached_property
    def leaf_species(self) -> np.ndarray:
        """The species index of each leaf, int64 [L]."""
        return np.repeat(np.arange(len(self.tree)), self._leaf_counts)

    @cached_property
    def is_breed(self) -> np.ndarray:
        """Whether each leaf is a breed, not a species without breeds, bool [L]."""
        return np.array([leaf.breed is not None for leaf in self.leaves])

    @property
    def _leaf_counts(self) -> list[int]:
        return [max(1, len(breeds)) for breeds in self.tree.values()]

    @property
    def has_breeds(self) -> bool:
        """Whether any species has breeds."""
        return any(self.tree.values())

    def species_index(self, species: str) -> int:
        """The column of a species.

        :raises DataError: it is not in the tree.
        """
        if species not in self.tree:
            raise DataError(
                f"unknown species {species!r}{did_you_mean(species, self.species)}; known: {', '.join(self.species)}"
            )
        return self.species.index(species)

    def leaf_index(self, species: str, breed: str | None) -> int:
        """The column of a leaf; -1 if the species has breeds and ``breed`` is None.

        :raises DataError: the species or the breed is not in the tree.
        """
        s = self.species_index(species)
        breeds = self.tree[species]
        if not breeds:
            return self.slices[s].start
        if breed is None:
            return UNKNOWN_LEAF
        if breed not in breeds:
            raise DataError(f"unknown breed {species}/{breed}{did_you_mean(breed, breeds)}")
        return self.slices[s].start + breeds.index(breed)

    def owner(self, name: str) -> str | None:
        """The first species that has a breed of this name; None if there is none, or if it is the name of a species."""
        species = (None if name in self.tree else one for one, breeds in self.tree.items() if name in breeds)
        return next(species, None)

    def without_breeds(self) -> Taxonomy:
        """The same species without breeds, each a leaf: for ``--levels species``."""
        return Taxonomy(tree=dict.fromkeys(self.tree, ()))
