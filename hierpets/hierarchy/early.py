"""When an early network answers, and how its answer stands beside those of the main one. Pure numpy."""

from __future__ import annotations

import numpy as np

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.decision import named_probabilities
from hierpets.hierarchy.probabilities import Combiner, joint_probabilities
from hierpets.taxonomy import Taxonomy

__all__ = ["MOST_EARLY", "certainty", "on_main_scale"]

MOST_EARLY = 4
"""Early networks of a bundle: each takes memory, and a photo that none is sure of pays for all."""


def certainty(
    species: np.ndarray,
    leaf: np.ndarray,
    scores: np.ndarray,
    taxonomy: Taxonomy,
    *,
    learned: np.ndarray,
    temperatures: Temperatures,
    combiner: Combiner,
) -> np.ndarray:
    """The probability that the best leaf is right, other breeds than those listed considered: float64 [N], of N photos
    by their logits [N, S] and [N, L] and their scores [N, 1 + S].

    0 where the best leaf is none of those that photos taught, ``learned`` bool [L]: the smaller of two networks knows
    less from pretraining than the larger one, and is as sure of it (docs/experiments.md).
    """
    joint = joint_probabilities(*temperatures.apply(species, leaf, taxonomy), taxonomy, combiner=combiner)
    named = named_probabilities(joint, scores[:, 1:], taxonomy)
    return np.where(learned[named.argmax(axis=1)], named.max(axis=1), 0.0)


def on_main_scale(
    species: np.ndarray, leaf: np.ndarray, taxonomy: Taxonomy, *, own: Temperatures, main: Temperatures
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, S] and [N, L] of an early network, float32, which the temperatures of the main one calibrate as its
    own would: so rows of both networks are decided in one way.
    """
    inverse = Temperatures(
        species=1 / main.species, breeds={name: 1 / temperature for name, temperature in main.breeds.items()}
    )
    scaled = inverse.apply(*own.apply(species, leaf, taxonomy), taxonomy)
    return scaled[0].astype(np.float32), scaled[1].astype(np.float32)
