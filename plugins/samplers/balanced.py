"""How often a photo is sampled in training: weights [N] with a mean of one.

Photos whose breed is unknown count, in their species, as one more breed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from hierpets.plugin import Labels


def shuffle(labels: Labels) -> np.ndarray:
    """Every photo as often as any other."""
    return np.ones(len(labels))


def species_balanced(labels: Labels) -> np.ndarray:
    """Every species as often as any other, whatever its number of photos."""
    return _weigh(labels.species, lambda count: 1.0 / count)


def breed_balanced(labels: Labels) -> np.ndarray:
    """Every breed as often as any other, whatever its number of photos."""
    return _weigh(labels.classes, lambda count: 1.0 / count)


def effective_number(labels: Labels, beta: float = 0.99, level: Literal["species", "breed"] = "breed") -> np.ndarray:
    """Between the two: a class of n photos weighs as (1 - beta) / (1 - beta^n), and beta in [0, 1) sets how much.

    With beta 0 all photos weigh the same; near 1 it balances fully. After Cui, Jia, Lin, Song and Belongie,
    "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must lie in [0, 1), got {beta}")
    classes = labels.species if level == "species" else labels.classes
    return _weigh(classes, lambda count: (1 - beta) / (1 - beta**count))


def _weigh(classes: np.ndarray, weight_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Give every photo the weight that the number of photos in its class asks for, then scale to a mean of one."""
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    weights = weight_of(counts.astype(np.float64))[inverse]
    return weights / weights.mean() if weights.size else weights
