"""From the logits of the two levels to one joint distribution over leaves."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from hierpets.taxonomy import Taxonomy

__all__ = [
    "COMBINERS",
    "Combiner",
    "Prior",
    "any_breed",
    "joint_probabilities",
    "log_joint_probabilities",
    "most_probable_species",
    "restrict",
    "species_probabilities",
]

Combiner = Literal["conditional", "shared_softmax", "flat"]
Prior = Literal["uniform", "data"]
"""Prior over classes: uniform over species and over the breeds within each, or as frequent as in the data."""
COMBINERS: tuple[Combiner, ...] = get_args(Combiner)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-softmax over the last axis, float64, safe for any finite logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_joint_probabilities(
    species_logits: np.ndarray, leaf_logits: np.ndarray, taxonomy: Taxonomy, *, combiner: Combiner
) -> np.ndarray:
    """Log of the joint probability of every leaf, float64 [N, L].

    ``species_logits`` [N, S] and ``leaf_logits`` [N, L] stand in the order of the taxonomy. ``conditional``: P(species)
    P(breed | species). ``shared_softmax``: one softmax over species logit + breed logit. ``flat``: one softmax over the
    breed logits alone, the species logits unused.
    """
    if combiner == "flat":
        return log_softmax(leaf_logits)
    if combiner == "shared_softmax":
        return log_softmax(leaf_logits + species_logits[:, taxonomy.leaf_species])
    breed_given_species = np.concatenate([log_softmax(leaf_logits[:, columns]) for columns in taxonomy.slices], axis=1)
    return breed_given_species + log_softmax(species_logits)[:, taxonomy.leaf_species]


def joint_probabilities(
    species_logits: np.ndarray, leaf_logits: np.ndarray, taxonomy: Taxonomy, *, combiner: Combiner = "conditional"
) -> np.ndarray:
    """Joint probability of every leaf, float64 [N, L]; each row sums to one. See :func:`log_joint_probabilities`."""
    return np.exp(log_joint_probabilities(species_logits, leaf_logits, taxonomy, combiner=combiner))


def any_breed(taxonomy: Taxonomy) -> np.ndarray:
    """For each species, the uniform distribution over its leaves, float64 [S, L]."""
    of_species = np.arange(len(taxonomy.species))[:, None] == taxonomy.leaf_species
    rows: np.ndarray = of_species / of_species.sum(axis=1, keepdims=True)
    return rows


def species_probabilities(joint: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """Sum the leaves [..., L] of each species: float64 [..., S]."""
    return np.add.reduceat(joint, [columns.start for columns in taxonomy.slices], axis=-1)


def most_probable_species(joint: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """Index of the most probable species of each row of leaf probabilities [N, L], int [N]."""
    return species_probabilities(joint, taxonomy).argmax(axis=1)


def restrict(joint: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Keep the leaves where ``allowed`` (bool [L] or [N, L]) is true and renormalize the rest, float64 [N, L].

    A row whose allowed mass is zero becomes uniform over the allowed leaves: the photo says nothing about them.
    """
    kept = np.where(allowed, joint, 0.0)
    mass = kept.sum(axis=1, keepdims=True)
    return np.where(mass > 0, kept / np.where(mass > 0, mass, 1.0), allowed / allowed.sum(axis=-1, keepdims=True))
