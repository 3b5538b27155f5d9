"""The probabilities that a recommendation is asked for, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hierpets.taxonomy import Taxonomy

__all__ = ["checked_bystanders", "checked_distribution", "checked_species"]


def checked_distribution(probabilities: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """The joint distribution, float64 [L], with a sum of one at most.

    :raises ValueError: they are none.
    """
    joint = np.asarray(probabilities, dtype=np.float64)
    if joint.shape != (len(taxonomy.leaves),):
        raise ValueError(f"expected probabilities of {len(taxonomy.leaves)} leaves, got shape {joint.shape}")
    total = float(joint.sum())
    if not (joint.min() >= 0 and abs(total - 1) <= 1e-3):  # nor if one is NaN, and then the sum is
        raise ValueError(f"expected probabilities from 0 up that sum to 1, got {joint.min()} and up, with sum {total}")
    return joint / max(total, 1.0)


def checked_species(name: str, probabilities: ArrayLike, taxonomy: Taxonomy) -> np.ndarray:
    """The probabilities of the species of some animals or of one, float64 [N, S], with sums of one at most.

    :raises ValueError: they are none.
    """
    given, count = np.asarray(probabilities, dtype=np.float64), len(taxonomy.species)
    if not given.size:
        return np.zeros((0, count))
    if given.shape[-1] != count or given.ndim > 2:
        raise ValueError(f"expected {name} to hold probabilities of {count} species, got shape {given.shape}")
    animals = given.reshape(-1, count)
    total = animals.sum(axis=1).max()
    if not (animals.min() >= 0 and total <= 1 + 1e-3):  # nor if one is NaN
        raise ValueError(
            f"expected probabilities in {name} from 0 up that sum to 1 at most, got {animals.min()} and up, with sum "
            f"{total}"
        )
    return animals


def checked_bystanders(probabilities: ArrayLike | None, taxonomy: Taxonomy) -> np.ndarray:
    """The probability that an animal of each species is there, float64 [S].

    :raises ValueError: they are none.
    """
    count = len(taxonomy.species)
    given = np.zeros(count) if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    if given.shape != (count,):
        raise ValueError(f"expected bystanders to hold probabilities of {count} species, got shape {given.shape}")
    if not (given.min() >= 0 and given.max() <= 1):  # nor if one is NaN
        raise ValueError(f"expected probabilities in bystanders from 0 to 1, got {given.min()} to {given.max()}")
    return given
