"""Every breed, and every pair of kinds of breeds torn between: safe, fitting and readable."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from helpers.shampoo import mass

from hierpets.recommend.catalog import Catalog
from hierpets.recommend.choose import Recommendation, Recommender
from hierpets.taxonomy import Leaf, Taxonomy


def assert_readable(answer: Recommendation) -> None:
    assert re.fullmatch(r"[A-Z].*\.", answer.reason)
    assert not re.search(r"_|None|nan|\bcontains it\b|  |\.\.|,\.|\b(a|an) (a|an)\b|\ba [AEIOU]|100%", answer.reason)


def test_recommend_sure_breed_gets_what_is_made_for_its_coat_or_skin(
    recommender: Recommender, catalog: Catalog, pets: Taxonomy
) -> None:
    for leaf, row in zip(pets.leaves, np.eye(len(pets.leaves)), strict=True):
        answer = recommender.recommend(row, pets, "breed")
        assert answer.product is not None, leaf
        assert answer.confidence == pytest.approx(1.0), leaf
        assert leaf.species not in catalog.hazards[answer.product.id], leaf
        assert catalog.breed_name(leaf.species, leaf.breed or "") in answer.reason
        types = {coat.type for coat in catalog.species[leaf.species].breeds[leaf.breed or ""].coat}
        made_for = answer.product.suits.coats or answer.product.suits.skin
        assert made_for or len(types) > 1, leaf
        assert_readable(answer)


def one_of_each_kind(catalog: Catalog, pets: Taxonomy) -> list[Leaf]:
    """Breeds of one species, with the same coats and skin, are weighed alike: one of them stands for all."""
    kinds = {}
    for leaf in pets.leaves:
        breed = catalog.species[leaf.species].breeds[leaf.breed or ""]
        coats = frozenset((coat.type, coat.share) for coat in breed.coat)
        kinds[leaf.species, coats, frozenset(breed.skin)] = leaf
    return list(kinds.values())


def test_recommend_torn_between_any_two_kinds(recommender: Recommender, catalog: Catalog, pets: Taxonomy) -> None:
    for one, other in itertools.combinations(one_of_each_kind(catalog, pets), 2):
        for share in (0.5, 0.9, 0.998):
            joint = mass(pets, **{one.breed or "": share, other.breed or "": 1 - share})
            answer = recommender.recommend(joint, pets, "breed")
            assert answer.product is not None
            hazards = catalog.hazards[answer.product.id]
            assert one.species not in hazards
            assert other.species not in hazards
            assert answer.confidence >= share - 1e-9, (one, other, share)
            assert_readable(answer)


@pytest.mark.parametrize("species", ["cat", "dog"])
def test_recommend_only_the_species_is_known(recommender: Recommender, pets: Taxonomy, species: str) -> None:
    inside = pets.leaf_species == pets.species.index(species)
    for joint in (inside / inside.sum(), mass(pets, **{"siamese" if species == "cat" else "beagle": 1.0})):
        answer = recommender.recommend(joint, pets, "species")
        assert answer.product is not None
        assert species in answer.product.suits.species
        assert f"This is a {species} whose breed we cannot tell" in answer.reason
        asked = recommender.recommend(joint, pets, "species", max_level="species")
        assert asked.product == answer.product
        assert asked.reason.startswith(f"This is almost surely a {species} (>99%). ")
        assert_readable(answer)
