"""Synthetic predictions that look like those of a real model: right mostly, unsure at times, wrong in pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hierpets.evaluation.predictions import Predictions
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

TREE = {
    "cat": ("abyssinian", "bengal", "birman", "ragdoll"),
    "dog": ("beagle", "boxer", "pug"),
    "rabbit": (),
    "horse": ("arabian",),
}


def synthetic(
    taxonomy: Taxonomy, n: int, *, seed: int = 0, skill: float = 4.0, unlabeled: float = 0.1, unknown: float = 0.1
) -> Predictions:
    """N photos of random leaves; ``skill`` is the logit of the truth, half of it goes to the truth's whole species."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(taxonomy.leaves), n)
    species = taxonomy.leaf_species[truth]
    logits = rng.normal(size=(n, len(taxonomy.leaves)))
    logits[np.arange(n), truth] += skill / 2
    logits += skill / 2 * (taxonomy.leaf_species[None, :] == species[:, None])
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    has_breeds = np.array([bool(b) for b in taxonomy.tree.values()])
    untold = has_breeds[species] & (rng.random(n) < unlabeled)
    top = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) > 0.6
    level = np.where(rng.random(n) < unknown, "unknown", np.where(sure, "breed", "species"))
    node = np.select([level == "breed", level == "species"], [top, taxonomy.leaf_species[top]], default=-1)
    return Predictions(
        taxonomy=taxonomy,
        paths=tuple(f"{taxonomy.leaves[leaf]}/{i:04d}.jpg" for i, leaf in enumerate(truth)),
        species_true=species,
        leaf_true=np.where(untold, UNKNOWN_LEAF, truth),
        probabilities=probabilities,
        level=level,
        node=node,
        pet_score=rng.normal(size=n) + probabilities.max(axis=1),
    )


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return Taxonomy(tree=TREE)


@pytest.fixture(scope="session")
def make_predictions() -> Callable[..., Predictions]:
    return synthetic


@pytest.fixture(scope="session")
def predictions(taxonomy: Taxonomy) -> Predictions:
    return synthetic(taxonomy, 400)
