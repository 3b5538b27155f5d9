"""Checks of the probabilities that a recommendation is based on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hierpets.taxonomy import Taxonomy

__all__ = ["checked_bystanders", "checked_distribution", "checked_species"]


def checked_distribution(probabilities: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """The joint distribution over the leaves, float64 [L], scaled down if its sum exceeds one by a rounding error.

    :raises ValueError: it has another shape, a value below zero or NaN, or a sum that is not one within 0.001.
    """
    joint = np.asarray(probabilities, dtype=np.float64)
    if joint.shape != (len(taxonomy.leaves),):
        raise ValueError(f"expected probabilities of {len(taxonomy.leaves)} leaves, got shape {joint.shape}")
    total = float(joint.sum())
    if not (joint.min() >= 0 and abs(total - 1) <= 1e-3):  # also false for NaN
        raise ValueError(f"expected probabilities from 0 up that sum to 1, got {joint.min()} and up, with sum {total}")
    return joint / max(total, 1.0)


def checked_species(name: str, probabilities: ArrayLike, taxonomy: Taxonomy) -> np.ndarray:
    """The species probabilities of some animals, or of one, float64 [N, S].

    :raises ValueError: they have another shape, a value below zero or NaN, or a sum above 1.001.
    """
    given, count = np.asarray(probabilities, dtype=np.float64), len(taxonomy.species)
    if not given.size:
        return np.zeros((0, count))
    if given.shape[-1] != count or given.ndim > 2:
        raise ValueError(f"expected {name} to hold probabilities of {count} species, got shape {given.shape}")
    animals = given.reshape(-1, count)
    total = animals.sum(axis=1).max()
    if not (animals.min() >= 0 and total <= 1 + 1e-3):  # also false for NaN
        raise ValueError(
            f"expected probabilities in {name} from 0 up that sum to 1 at most, got {animals.min()} and up, with sum "
            f"{total}"
        )
    return animals


def checked_bystanders(probabilities: ArrayLike | None, taxonomy: Taxonomy) -> np.ndarray:
    """For each species the probability that an animal of it is in the photo, float64 [S]; zeros for None.

    :raises ValueError: they have another shape, or a value outside of [0, 1].
    """
    count = len(taxonomy.species)
    given = np.zeros(count) if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    if given.shape != (count,):
        raise ValueError(f"expected bystanders to hold probabilities of {count} species, got shape {given.shape}")
    if not (given.min() >= 0 and given.max() <= 1):  # also false for NaN
        raise ValueError(f"expected probabilities in bystanders from 0 to 1, got {given.min()} to {given.max()}")
    return given
