"""Sampling weights of the training photos, float [N] with a mean of one.

The photos of a species whose breed is unknown count as one more breed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from hierpets.plugin import Labels


def shuffle(labels: Labels) -> np.ndarray:
    """Draw every photo equally often."""
    return np.ones(len(labels))


def species_balanced(labels: Labels) -> np.ndarray:
    """Draw every species equally often, however many photos it has."""
    return _weigh(labels.species, lambda count: 1.0 / count)


def breed_balanced(labels: Labels) -> np.ndarray:
    """Draw every breed equally often, however many photos it has."""
    return _weigh(labels.classes, lambda count: 1.0 / count)


def effective_number(labels: Labels, beta: float = 0.99, level: Literal["species", "breed"] = "breed") -> np.ndarray:
    """Balance partly: weigh each photo of a class of n photos by (1 - beta) / (1 - beta^n), with beta in [0, 1).

    With beta 0 all photos have the same weight; near 1, classes are fully balanced. After Cui, Jia, Lin, Song and
    Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must lie in [0, 1), got {beta}")
    classes = labels.species if level == "species" else labels.classes
    return _weigh(classes, lambda count: (1 - beta) / (1 - beta**count))


def _weigh(classes: np.ndarray, weight_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Weigh every photo by ``weight_of`` the number of photos in its class, scaled to a mean of one."""
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    weights = weight_of(counts.astype(np.float64))[inverse]
    return weights / weights.mean() if weights.size else weights
