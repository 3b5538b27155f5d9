from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hierpets.recommend.catalog import COAT_TYPES, Catalog, SpeciesProfile, Traits
from hierpets.recommend.choose import Recommender
from hierpets.recommend.suitability import SuitabilityMatrix
from hierpets.taxonomy import Taxonomy

MISSING, UNLISTED = 0.03, 0.2


def worlds(
    catalog: Catalog, taxonomy: Taxonomy, joint: np.ndarray
) -> list[tuple[float, str, str | None, frozenset[str]]]:
    """Every pet that this may be, one by one: probability, species, coat type, skin notes."""
    found = []
    for leaf, p in zip(taxonomy.leaves, joint, strict=True):
        for breed, share in ((leaf.breed, 1 - UNLISTED), ("no such breed", UNLISTED)):
            profile = catalog.profile(leaf.species, breed)
            coats = [(coat.type, coat.share) for coat in profile.coat] if profile and profile.coat else [(None, 1.0)]
            skin = frozenset(profile.skin) if profile else frozenset()
            found += [(p * share * s, leaf.species, coat, skin) for coat, s in coats]
    return found


def odd(catalog: Catalog) -> Catalog:
    """One as a shop may write it: what is made for cats poisons them, a product is to avoid what it is made for, the
    mix of dogs has two coats of one type, and that of cats is not known.
    """
    products = {
        **catalog.products,
        "cat_sleek": catalog.products["cat_sleek"].model_copy(update={"contains": ("tea_tree_oil",)}),
        "gentle_everyday": catalog.products["gentle_everyday"].model_copy(
            update={"avoid": Traits(species=("cat",), coats=("long_silky", "wiry"))}
        ),
    }
    silky = {"length": "long", "undercoat": "light", "shedding": "low", "share": 0.5}
    mix = [{**silky, "texture": "silky"}, {**silky, "texture": "wavy"}]
    dogs = catalog.species["dog"].model_dump() | {"coat": mix}
    species = {"cat": SpeciesProfile(breeds=catalog.species["cat"].breeds), "dog": SpeciesProfile.model_validate(dogs)}
    return replace(catalog, products=products, species={**catalog.species, **species})


@pytest.mark.parametrize("change", [lambda catalog: catalog, odd], ids=["built-in", "odd"])
@pytest.mark.parametrize(
    "tree",
    [
        {"cat": ("birman", "sphynx", "moggy"), "dog": ("pug", "chihuahua", "basset_hound")},
        {"dog": ("boxer", "beagle")},
        {"cat": (), "dog": ()},
        {"cat": ("persian",), "rabbit": ("rex", "lop")},
    ],
)
def test_weigh_equals_a_count_over_all_possible_pets(
    catalog: Catalog, tree: dict[str, tuple[str, ...]], change: Callable[[Catalog], Catalog]
) -> None:
    catalog, taxonomy = change(catalog), Taxonomy(tree=tree)
    joint = (1 - MISSING) * np.random.default_rng(3).dirichlet(np.ones(len(taxonomy.leaves)))
    got = SuitabilityMatrix.of(catalog, taxonomy).weigh(joint, unlisted=UNLISTED)
    coats: dict[str, float] = defaultdict(float)
    skin: dict[str, float] = defaultdict(float)
    suits, avoid, harm = (np.zeros(len(catalog.products)) for _ in range(3))
    for p, species, coat, prone in worlds(catalog, taxonomy, joint):
        coats[str(coat)] += p
        for note in prone:
            skin[note] += p
        for i, product in enumerate(catalog.products.values()):
            hazards, shun, made = catalog.hazards[product.id], product.avoid, product.suits
            shunned = species in shun.species or coat in shun.coats or bool(prone & set(shun.skin))
            wanted = species in made.species and (not made.coats or coat in made.coats)
            avoid[i] += p * shunned
            suits[i] += p * (not shunned and wanted and (not made.skin or bool(prone & set(made.skin))))
            harm[i] += p * (species in hazards or (species not in made.species and bool(hazards)))
    for i, product in enumerate(catalog.products):
        harm[i] += MISSING * bool(catalog.hazards[product])
        if set(catalog.hazards[product]) - set(taxonomy.species):
            harm[i] = 1.0
    np.testing.assert_allclose(got.suits, suits, atol=1e-12)
    np.testing.assert_allclose(got.avoid, avoid, atol=1e-12)
    np.testing.assert_allclose(got.harm, harm, atol=1e-12)
    np.testing.assert_allclose(got.coats, [coats[coat] for coat in COAT_TYPES], atol=1e-12)
    np.testing.assert_allclose(got.skin, [skin[note] for note in catalog.skin], atol=1e-12)


@pytest.mark.parametrize("listed", [{}, {"coat": [{"length": "long", "undercoat": "dense", "texture": "silky",
                                                   "shedding": "low"}]}])  # fmt: skip
def test_what_hurts_a_cat_is_for_no_species_that_it_is_not_made_for(
    catalog: Catalog, listed: dict[str, object]
) -> None:
    """To list a coat says nothing of what poisons the animal."""
    ferrets = replace(catalog, species={**catalog.species, "ferret": SpeciesProfile.model_validate(listed)})
    taxonomy = Taxonomy(tree={"cat": (), "dog": (), "ferret": ()})
    for known in (catalog, ferrets):
        harm = SuitabilityMatrix.of(known, taxonomy).weigh(np.array([0, 0.6, 0.4]), unlisted=0.0).harm
        toxic = [bool(hazards) for hazards in known.hazards.values()]
        np.testing.assert_allclose(harm, np.where(toxic, 0.4, 0.0))


def test_suitability_matrix_has_a_harmless_product_for_every_breed(catalog: Catalog, pets: Taxonomy) -> None:
    matrix = SuitabilityMatrix.of(catalog, pets)
    suited = matrix.suits[: len(pets.leaves)] * ~matrix.forbidden[pets.leaf_species]
    assert (suited.max(axis=1) == 1).all()


def test_what_hurts_the_animal_that_it_is_made_for_is_never_recommended(catalog: Catalog) -> None:
    poisoned, cats = odd(catalog), Taxonomy(tree={"cat": ("siamese",), "dog": ()})
    for bound in (0.0, 0.01):
        answer = Recommender(poisoned, bound=bound).recommend(np.array([1.0, 0.0]), cats, "breed")
        assert answer.product is None or answer.product.id != "cat_sleek"
        assert "cat_sleek" in [one.product for one in answer.ruled_out]


def test_harm_is_that_of_the_likeliest_animal_to_be_hurt(catalog: Catalog) -> None:
    """Not their mean: however many dogs are beside it, a cat among them is one."""
    matrix = SuitabilityMatrix.of(catalog, Taxonomy(tree={"cat": (), "dog": ()}))
    toxic = [bool(hazards) for hazards in catalog.hazards.values()]
    beside = [[0.0, 1.0], [0.003, 0.997], [0.0, 1.0]]
    for animals in (beside, [[0.003, 0.998], [0.0, 1.001]]):  # sums may pass one by a rounding, which makes none safer
        harm = matrix.weigh(np.array([0.001, 0.999]), unlisted=0.0, beside=animals).harm
        np.testing.assert_allclose(harm, np.where(toxic, 0.003, 0.0), atol=1e-12)


def test_what_rounding_takes_from_a_sum_is_no_animal(catalog: Catalog, pets: Taxonomy) -> None:
    dogs = np.where(pets.leaf_species == pets.species_index("dog"), 1.0, 0.0)
    joint = dogs / dogs.sum() * (1 - 1e-12)
    assert SuitabilityMatrix.of(catalog, pets).weigh(joint, unlisted=0.0).harm.max() == 0
