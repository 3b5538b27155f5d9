"""Map the classes of a backbone's pretrained head to the leaves of a taxonomy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from hierpets.bundle.manifest import Origin
from hierpets.messages.breeds import plain
from hierpets.plugin import Labels, PretrainedBreed, PretrainedHead
from hierpets.taxonomy import UNKNOWN_LEAF, Leaf, Taxonomy

__all__ = ["PretrainedBreeds"]


@dataclass(frozen=True)
class PretrainedBreeds:
    """The leaves of a model, trained or known to its pretrained head alone, and the pretrained classes that show them.

    ``trained`` are the leaves that have training photos. ``classes`` int64 [P] are the pretrained head's classes that
    show breeds of species with trained breeds, ``class_species`` int64 [P] the species of each, indices in
    ``taxonomy.species``. ``shares`` float32 [P, L] divides the probability of a class among the leaves; a row sums to
    less than one if the class shows a breed that is no leaf.
    """

    taxonomy: Taxonomy
    trained: tuple[Leaf, ...]
    classes: np.ndarray
    class_species: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, trained: Taxonomy, head: PretrainedHead | None, *, extended: Collection[str] = ()) -> PretrainedBreeds:
        """Match the breeds of a pretrained head with the trained ones by name, in any spelling.

        Breeds without a match are added to the taxonomy if their species is ``extended``.
        """
        named = {
            index: tuple(_known_as(breed, trained) for breed in breeds)
            for index, breeds in sorted((head.breeds if head else {}).items())
            if all(trained.tree.get(breed.species) for breed in breeds)
        }
        added = {leaf for breeds in named.values() for leaf in breeds if leaf.species in extended}
        tree = {
            species: tuple(sorted({*breeds, *(leaf.breed for leaf in added if leaf.species == species and leaf.breed)}))
            for species, breeds in trained.tree.items()
        }
        taxonomy = Taxonomy(tree=tree)
        shares = np.zeros((len(named), len(taxonomy.leaves)), np.float32)
        for row, breeds in enumerate(named.values()):
            for leaf in breeds:
                if leaf in taxonomy.leaves:
                    shares[row, taxonomy.leaves.index(leaf)] += 1 / len(breeds)
        species = [taxonomy.species_index(breeds[0].species) for breeds in named.values()]
        return cls(taxonomy, trained.leaves, np.array([*named], np.int64), np.array(species, np.int64), shares)

    @cached_property
    def trained_columns(self) -> np.ndarray:
        """int64 [T]: the indices of the trained leaves among all leaves."""
        return np.array([self.taxonomy.leaves.index(leaf) for leaf in self.trained], np.int64)

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        """How each leaf was learned."""
        return tuple("trained" if leaf in self.trained else "pretrained" for leaf in self.taxonomy.leaves)

    def of_others(
        self,
        trained: Taxonomy,
        pretrained: Collection[Leaf],
        named: Mapping[int, Sequence[PretrainedBreed]] = MappingProxyType({}),
    ) -> PretrainedBreeds:
        """Return the same for other leaves: ``trained`` ones, and ``pretrained`` ones of species with trained breeds.

        Leaves that are new here are matched with the breeds in ``named``, by class of the pretrained head.
        """
        pairs = [*trained.leaves, *(leaf for leaf in pretrained if trained.tree.get(leaf.species))]
        taxonomy = Taxonomy.from_pairs(pairs)
        known = dict(zip(self.taxonomy.leaves, self.shares.T, strict=True))
        known |= self._matched(Taxonomy.from_pairs({*known, *taxonomy.leaves}), named)
        nothing = np.zeros(len(self.classes), np.float32)
        shares = np.stack([known.get(leaf, nothing) for leaf in taxonomy.leaves], axis=1)
        names = [self.taxonomy.species[s] for s in self.class_species]
        kept = np.array([bool(trained.tree.get(name)) for name in names], bool)
        species = [taxonomy.species_index(name) for name, keep in zip(names, kept, strict=True) if keep]
        return PretrainedBreeds(taxonomy, trained.leaves, self.classes[kept], np.array(species, np.int64), shares[kept])

    def _matched(self, taxonomy: Taxonomy, named: Mapping[int, Sequence[PretrainedBreed]]) -> dict[Leaf, np.ndarray]:
        """Return the shares [P] of each new leaf of a larger taxonomy; a breed that has a leaf already keeps it."""
        found = {leaf: np.zeros(len(self.classes), np.float32) for leaf in {*taxonomy.leaves} - {*self.taxonomy.leaves}}
        for row, index in enumerate(self.classes.tolist()):
            breeds = named.get(index, ())
            for breed in breeds:
                leaf = _known_as(breed, taxonomy)
                if leaf in found and _known_as(breed, self.taxonomy) not in self.taxonomy.leaves:
                    found[leaf][row] += 1 / len(breeds)
        return found

    def classes_of(self, leaves: np.ndarray) -> np.ndarray:
        """Return a mask, bool [N, P], of the classes that show each leaf; ``leaves`` int [N] index the taxonomy."""
        return np.asarray(self.shares.T[leaves] > 0)

    def relabel(self, labels: Labels) -> Labels:
        """Convert labels that index the trained leaves to labels that index all leaves."""
        leaf = np.where(labels.breed_known, self.trained_columns[labels.leaf], UNKNOWN_LEAF)
        return replace(labels, leaf=leaf, leaf_names=tuple(map(str, self.taxonomy.leaves)))


def _known_as(breed: PretrainedBreed, trained: Taxonomy) -> Leaf:
    """Return the trained leaf that has one of the breed's names, else a leaf named by its label."""
    names = {plain(name) for name in (breed.label, *breed.synonyms)}
    found = next((label for label in trained.tree.get(breed.species, ()) if plain(label) in names), breed.label)
    return Leaf(breed.species, found)
