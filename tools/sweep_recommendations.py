"""Prints what hierpets recommends for every breed, for look-alikes, for mixtures and in doubt, with every reason.

python tools/sweep_recommendations.py [--registry FILE] [--pairs]; exit code 1 if anything harmful is recommended.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hierpets.recommend.check import listed_taxonomy
from hierpets.recommend.choose import Level, Recommender
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy


class Pet(NamedTuple):
    """What a pet may be: shares of ``species/breed``, the level of the answer, the probability of no known species."""

    shares: dict[str, float]
    level: Level = "breed"
    unknown: float = 0.0


MIXTURES = [
    Pet({"cat/birman": 0.52, "cat/ragdoll": 0.48}),
    Pet({"cat/birman": 0.52, "cat/ragdoll": 0.48}, "species"),
    Pet({"cat/british_shorthair": 0.6, "cat/russian_blue": 0.4}),
    Pet({"cat/maine_coon": 0.7, "cat/abyssinian": 0.3}),
    Pet({"cat/persian": 0.6, "cat/ragdoll": 0.4}),
    Pet({"dog/american_pit_bull_terrier": 0.55, "dog/staffordshire_bull_terrier": 0.45}),
    Pet({"dog/american_bulldog": 0.6, "dog/boxer": 0.4}),
    Pet({"dog/beagle": 0.41, "dog/basset_hound": 0.38, "dog/boxer": 0.21}, "species"),
    Pet({"dog/beagle": 0.62, "dog/basset_hound": 0.38}),
    Pet({"dog/basset_hound": 0.997, "cat/siamese": 0.003}),
    Pet({"dog/basset_hound": 1.0}, unknown=0.01),
    Pet({"dog/newfoundland": 0.6, "dog/leonberger": 0.4}),
    Pet({"dog/samoyed": 0.5, "dog/pomeranian": 0.3, "dog/great_pyrenees": 0.2}),
    Pet({"dog/yorkshire_terrier": 0.5, "dog/scottish_terrier": 0.5}),
    Pet({"dog/pug": 0.6, "dog/boxer": 0.4}),
    Pet({"dog/pug": 0.9, "cat/persian": 0.1}),
    Pet({"cat/sphynx": 0.6, "dog/chihuahua": 0.4}),
    Pet({"dog/pomeranian": 0.5, "cat/persian": 0.5}, "species"),
]


def pets(taxonomy: Taxonomy, *, pairs: bool) -> Iterator[Pet]:
    """Every breed for sure, every species with its breed unsure, an unknown animal, look-alikes; then all pairs."""
    leaves = [str(leaf) for leaf in taxonomy.leaves]
    yield from (Pet({leaf: 1.0}) for leaf in leaves)
    for species in taxonomy.species:
        inside = [leaf for leaf in leaves if leaf.partition("/")[0] == species]
        yield Pet(dict.fromkeys(inside, 1 / len(inside)), "species")
    yield Pet(dict.fromkeys(leaves, 1 / len(leaves)), "unknown", 0.5)
    yield from (pet for pet in MIXTURES if set(pet.shares) <= set(leaves))
    if pairs:
        yield from (Pet({one: 0.6, other: 0.4}) for one, other in itertools.combinations(leaves, 2))


def title(pet: Pet) -> str:
    """The most probable leaves of a pet, its level and doubt, in a line."""
    ranked = sorted(pet.shares.items(), key=lambda item: -item[1])
    named = ", ".join(f"{leaf} {share:.1%}" for leaf, share in ranked[:3])
    more = f" and {len(ranked) - 3} more" if len(ranked) > 3 else ""
    unknown = f", unknown species {pet.unknown:.1%}" if pet.unknown else ""
    return f"{named}{more} [{pet.level}{unknown}]"


def main() -> int:
    """Print every recommendation; 1 if one is harmful."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--pairs", action="store_true", help="also every pair of breeds, 60 to 40")
    arguments = parser.parse_args()
    recommender = Recommender.load(load_registry(arguments.registry))
    catalog, taxonomy = recommender.catalog, listed_taxonomy(recommender.catalog)
    harmful = count = 0
    for pet in pets(taxonomy, pairs=arguments.pairs):
        joint = np.array([pet.shares.get(str(leaf), 0.0) for leaf in taxonomy.leaves])
        answer = recommender.recommend(joint / joint.sum(), taxonomy, pet.level, unknown=pet.unknown)
        product = answer.product.id if answer.product else "no product"
        print(f"{title(pet)}\n  {product} by {answer.rule}, suits {answer.confidence:.1%}\n  {answer.reason}\n")
        hazards = catalog.hazards.get(product, {})
        at_risk = sum(share for leaf, share in pet.shares.items() if leaf.partition("/")[0] in hazards)
        harmful += (1 - pet.unknown) * at_risk + pet.unknown * bool(hazards) > recommender.bound
        count += 1
    print(f"{count} pets, {harmful} harmful recommendations")
    return 1 if harmful else 0


if __name__ == "__main__":
    sys.exit(main())
