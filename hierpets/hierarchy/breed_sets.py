"""Nested sets of the most probable breeds: the answers between a single breed and the species."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.taxonomy import Taxonomy

__all__ = ["BreedSets", "breed_sets"]


class BreedSets(NamedTuple):
    """Nested sets of breeds for each of N photos: ``leaves`` int64 [N, K] are the K most probable leaves of a species,
    best first, ``probabilities`` float64 [N, K] their cumulative sums: that one of the first k is right.

    A set never holds all breeds of its species; leaves beyond that are -1, with probability 0.
    """

    leaves: np.ndarray
    probabilities: np.ndarray

    def hold(self, leaf: np.ndarray) -> np.ndarray:
        """Whether the first k leaves include the label ``leaf`` int [N], bool [N, K]."""
        return np.logical_or.accumulate(self.leaves == leaf[:, None], axis=1)


def breed_sets(named: np.ndarray, species: np.ndarray, taxonomy: Taxonomy, largest: int) -> BreedSets:
    """The nested sets of up to ``largest`` breeds of the ``species`` int [N] of each photo.

    ``named`` float [N, L] are the probabilities of the leaves, with unlisted breeds considered.
    """
    leaves = np.full((len(named), largest), -1, np.int64)
    probabilities = np.zeros((len(named), largest))
    for s, columns in enumerate(taxonomy.slices):  # numpy.unique would import masked arrays: 10 ms
        rows = np.flatnonzero(species == s)
        size = min(largest, columns.stop - columns.start - 1)
        if size > 0:
            own = named[rows, columns]
            order = np.argsort(-own, axis=1, kind="stable")[:, :size]
            leaves[rows, :size] = order + columns.start
            probabilities[rows, :size] = np.cumsum(np.take_along_axis(own, order, axis=1), axis=1)
    return BreedSets(leaves, probabilities)
