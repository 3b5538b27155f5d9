"""Predictions of labeled photos: the input of every metric, figure and comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hierpets.errors import DataError
from hierpets.hierarchy.decision import Decision
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["BREED", "SPECIES", "UNKNOWN", "OODPredictions", "Predictions", "to_predictions"]

BREED, SPECIES, UNKNOWN = "breed", "species", "unknown"


@dataclass(frozen=True, eq=False)
class Predictions:
    """N labeled photos with their joint probabilities over L leaves and the predictions that were returned.

    - ``paths`` are those of the photos, without duplicates.
    - ``species_true`` int [N] and ``leaf_true`` int [N] are indices in ``taxonomy``; the leaf is -1 if the breed is not
      labeled.
    - ``probabilities`` float [N, L] are joint over the leaves; each row sums to one.
    - ``level`` str [N] is "breed", "species" or "unknown"; ``node`` int [N] is the prediction at that level: a leaf
      index, a species index, or -1.
    - ``pet_score`` float [N] is how much a photo looks like a pet.
    - ``listed`` float [N] is the probability that the breed is in the taxonomy; the decision multiplies the
      probabilities of breeds by it.
    - ``breed_sets`` are the leaves of each prediction that is a set of breeds; empty for the others.
    - ``top`` are the most probable leaves of each prediction, best first, with the probabilities that it states: those
      of breeds are multiplied by that of being listed.
    - ``groups`` int [N] has one number for all photos of an animal; None if each photo shows another.
    - ``digests`` are those of the photos' content; None if they were not computed.

    :raises DataError: there are no photos, or a path is given twice.
    :raises ValueError: the arrays do not fit together.
    """

    taxonomy: Taxonomy
    paths: tuple[str, ...]
    species_true: np.ndarray
    leaf_true: np.ndarray
    probabilities: np.ndarray
    level: np.ndarray
    node: np.ndarray
    pet_score: np.ndarray | None = None
    listed: np.ndarray | None = None
    breed_sets: tuple[tuple[int, ...], ...] | None = None
    top: tuple[tuple[tuple[Leaf, float], ...], ...] | None = None
    groups: np.ndarray | None = None
    digests: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise DataError("no photos to evaluate")
        if len(set(self.paths)) != len(self.paths):
            duplicate = next(path for i, path in enumerate(self.paths) if path in self.paths[:i])
            raise DataError(f"{duplicate} is listed twice; list each photo once")
        self._check_shapes()
        self._check_labels()

    def _check_shapes(self) -> None:
        n = len(self.paths)
        for name in ("species_true", "leaf_true", "level", "node", "pet_score", "listed", "groups", "digests"):
            value = getattr(self, name)
            if value is not None and np.shape(value) != (n,):
                raise ValueError(f"{name} must have shape ({n},), got {np.shape(value)}")
        expected = (n, len(self.taxonomy.leaves))
        if self.probabilities.shape != expected:
            raise ValueError(f"probabilities must have shape {expected}, got {self.probabilities.shape}")
        sums = self.probabilities.sum(axis=1)
        if not np.isfinite(sums).all() or (self.probabilities < 0).any() or np.abs(sums - 1).max() > 1e-3:
            raise ValueError("probabilities must be finite, at least 0, and sum to 1 over the leaves of each photo")

    def _check_labels(self) -> None:
        known = self.leaf_true >= 0
        if (self.taxonomy.leaf_species[self.leaf_true[known]] != self.species_true[known]).any():
            raise ValueError("leaf_true and species_true contradict each other")
        other = set(np.unique(self.level).tolist()) - {BREED, SPECIES, UNKNOWN}
        if other:
            raise ValueError(f"level must be 'breed', 'species' or 'unknown', got {sorted(other)}")

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: np.ndarray) -> Predictions:
        """Select photos by their row numbers, in this order."""
        return Predictions(
            taxonomy=self.taxonomy,
            paths=tuple(self.paths[i] for i in rows),
            species_true=self.species_true[rows],
            leaf_true=self.leaf_true[rows],
            probabilities=self.probabilities[rows],
            level=self.level[rows],
            node=self.node[rows],
            pet_score=None if self.pet_score is None else self.pet_score[rows],
            listed=None if self.listed is None else self.listed[rows],
            breed_sets=None if self.breed_sets is None else tuple(self.breed_sets[i] for i in rows),
            top=None if self.top is None else tuple(self.top[i] for i in rows),
            groups=None if self.groups is None else self.groups[rows],
            digests=None if self.digests is None else tuple(self.digests[i] for i in rows),
        )

    @cached_property
    def species_probabilities(self) -> np.ndarray:
        """Probability of each species, the sum over its leaves; float [N, S]."""
        return species_probabilities(self.probabilities, self.taxonomy)

    @cached_property
    def set_sizes(self) -> np.ndarray:
        """Number of breeds in each prediction that is a set of breeds, 0 for the others; int [N]."""
        return np.array([len(leaves) for leaves in self.breed_sets or ((),) * len(self)])

    @cached_property
    def set_holds_truth(self) -> np.ndarray:
        """Whether the prediction is a set of breeds that contains the true leaf; bool [N]."""
        pairs = zip(self.breed_sets or ((),) * len(self), self.leaf_true.tolist(), strict=True)
        return np.array([truth in leaves for leaves, truth in pairs])

    @cached_property
    def named_species(self) -> np.ndarray:
        """Species of each prediction, -1 for "unknown"; int [N]."""
        leaf = np.where(self.level == BREED, self.node, 0)
        return np.select(
            [self.level == BREED, self.level == SPECIES], [self.taxonomy.leaf_species[leaf], self.node], default=-1
        )

    @cached_property
    def holds_truth(self) -> np.ndarray:
        """Whether the prediction is the label or an ancestor of it; bool [N].

        "unknown" is the root, so always true; a set of breeds is an ancestor of its breeds. A prediction at breed level
        is false for a photo whose breed is not labeled.
        """
        return np.select(
            [self.level == BREED, self.set_sizes > 0, self.level == SPECIES],
            [self.node == self.leaf_true, self.set_holds_truth, self.named_species == self.species_true],
            default=True,
        )

    @cached_property
    def leaf_names(self) -> tuple[str, ...]:
        return tuple(str(leaf) for leaf in self.taxonomy.leaves)

    @cached_property
    def top_leaf(self) -> np.ndarray:
        """Most probable leaf, int [N]."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def top_leaf_species(self) -> np.ndarray:
        """Species of the most probable leaf, int [N]."""
        return self.taxonomy.leaf_species[self.top_leaf]

    @cached_property
    def breed_known(self) -> np.ndarray:
        """Whether a photo's species has breeds and its breed is labeled; bool [N]."""
        return (self.leaf_true >= 0) & self.taxonomy.is_breed[self.leaf_true]


@dataclass(frozen=True, eq=False)
class OODPredictions:
    """M out-of-distribution photos: they show no pet of the taxonomy.

    ``pet_score`` and ``level`` [M] are as in :class:`Predictions`; ``kind`` str [M] may group them ("car", "food").
    """

    paths: tuple[str, ...]
    pet_score: np.ndarray
    level: np.ndarray
    kind: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise DataError("no out-of-distribution photos")
        for name in ("pet_score", "level", "kind"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.paths):
                raise ValueError(f"{name} must have length {len(self.paths)}, got {len(value)}")

    def __len__(self) -> int:
        return len(self.paths)


def to_predictions(
    paths: Sequence[str],
    labels: Labels,
    joint: np.ndarray,
    decisions: Sequence[Decision],
    *,
    taxonomy: Taxonomy,
    pet_score: np.ndarray | None = None,
) -> Predictions:
    """Combine the labels, joint probabilities float [N, L] and decisions of N photos.

    ``pet_score`` float [N] is how much each photo looks like a pet; None if the bundle has no such score.
    """
    return Predictions(
        taxonomy=taxonomy,
        paths=tuple(paths),
        species_true=labels.species,
        leaf_true=labels.leaf,
        probabilities=joint,
        level=np.array([decision.level for decision in decisions]),
        node=np.array([decision.node(taxonomy) for decision in decisions]),
        pet_score=pet_score,
        listed=np.array([decision.listed for decision in decisions]),
        breed_sets=tuple(tuple(taxonomy.leaf_index(*leaf) for leaf, _ in decision.breeds) for decision in decisions),
        top=tuple(decision.top for decision in decisions),
        groups=labels.groups,
    )
