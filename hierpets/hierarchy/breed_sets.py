"""The nested answers between a breed and its species: the most probable breeds together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.taxonomy import Taxonomy

__all__ = ["BreedSets", "breed_sets"]


class BreedSets(NamedTuple):
    """The K most probable leaves of a species for each of N photos, ``leaves`` int64 [N, K], and the probability that
    one of the first k is right, ``probabilities`` float64 [N, K].

    A set is smaller than its species: -1 and 0 where there are too few breeds.
    """

    leaves: np.ndarray
    probabilities: np.ndarray

    def hold(self, leaf: np.ndarray) -> np.ndarray:
        """bool [N, K]: whether the first k leaves hold the label ``leaf`` int [N]."""
        return np.logical_or.accumulate(self.leaves == leaf[:, None], axis=1)


def breed_sets(named: np.ndarray, species: np.ndarray, taxonomy: Taxonomy, largest: int) -> BreedSets:
    """The sets of up to ``largest`` breeds of the ``species`` int [N] of each photo; ``named`` float [N, L] are the
    probabilities of leaves, those of breeds multiplied by the probability that they are listed.
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
