from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.shampoo import PlainRule, always, mass

from hierpets.errors import ConfigError, PluginError
from hierpets.hierarchy.decision import Level
from hierpets.messages.catalogue import Language, speaking
from hierpets.plugin import Advice, Case
from hierpets.recommend.catalog import Catalog
from hierpets.recommend.choose import DEFAULT_BOUND, Recommender
from hierpets.taxonomy import Taxonomy


def product_of(recommender: Recommender, taxonomy: Taxonomy, **shares: float) -> str | None:
    chosen = recommender.recommend(mass(taxonomy, **shares), taxonomy, "breed").product
    return chosen.id if chosen else None


def test_recommend_wrong_breed_of_the_same_coat_costs_nothing(recommender: Recommender, pets: Taxonomy) -> None:
    torn = recommender.recommend(mass(pets, birman=0.52, ragdoll=0.48), pets, "breed")
    sure = recommender.recommend(mass(pets, birman=1.0), pets, "breed")
    assert torn.product == sure.product
    assert torn.confidence == pytest.approx(1.0)
    assert "the exact breed hardly matters" in torn.reason


@pytest.mark.parametrize(
    ("breed", "product"),
    [
        ("standard_poodle", "silk_detangle"),
        ("airedale_terrier", "wire_crisp"),
        ("komondor", "quick_rinse"),
        ("pekingese", "fold_care"),
        ("dalmatian", "oat_calm"),
        ("mexican_hairless_dog", "bare_skin"),
        ("brussels_griffon", "gentle_everyday"),
        ("domestic_cat", "gentle_everyday"),
    ],
)
def test_recommend_minds_coat_and_skin(recommender: Recommender, pets: Taxonomy, breed: str, product: str) -> None:
    assert product_of(recommender, pets, **{breed: 1.0}) == product


def test_recommend_knows_a_breed_by_any_of_its_names(recommender: Recommender) -> None:
    names = "Pug", "Airedale Terrier", "Alsatian"

    def products(*breeds: str) -> list[str | None]:
        tree = Taxonomy(tree={"dog": breeds})
        found = [recommender.recommend(row, tree, "breed").product for row in np.eye(len(breeds))]
        return [product.id if product else None for product in found]

    assert products(*names) == products("pug", "airedale_terrier", "german_shepherd")
    assert products("no such breed") == ["gentle_everyday"]
    assert "gentle_everyday" not in products(*names)


def test_recommend_torn_between_coats_takes_what_suits_both(recommender: Recommender, pets: Taxonomy) -> None:
    assert product_of(recommender, pets, beagle=1.0) == "undercoat_release"
    assert product_of(recommender, pets, yorkshire_terrier=1.0) == "silk_detangle"
    assert product_of(recommender, pets, beagle=0.5, yorkshire_terrier=0.5) == "gentle_everyday"
    assert product_of(recommender, pets, beagle=0.95, yorkshire_terrier=0.05) == "undercoat_release"


def test_recommend_toxic_to_cats_is_out_as_soon_as_a_cat_is_possible(recommender: Recommender, pets: Taxonomy) -> None:
    sure = recommender.recommend(mass(pets, basset_hound=1.0), pets, "breed")
    at_bound = recommender.recommend(mass(pets, basset_hound=0.9991, siamese=0.0009), pets, "breed")
    above = recommender.recommend(mass(pets, basset_hound=0.998, siamese=0.002), pets, "breed")
    assert sure.product is not None
    assert sure.product.id == "clear_balance"
    assert at_bound.product == sure.product
    assert above.product is not None
    assert above.product.id == "fold_care"
    assert [one.product for one in above.ruled_out] == ["clear_balance"]
    assert "salicylic acid" in above.reason
    assert "this may be a cat (0.2%)" in above.reason


def test_recommend_a_model_that_cannot_tell_cats_cannot_rule_them_out(recommender: Recommender) -> None:
    dogs = Taxonomy(tree={"dog": ("basset_hound", "beagle")})
    answer = recommender.recommend(mass(dogs, basset_hound=1.0), dogs, "breed")
    assert answer.product is not None
    assert answer.product.id == "fold_care"
    assert "this model cannot rule out a cat" in answer.ruled_out[0].reason


def test_recommend_what_is_missing_to_one_counts_as_any_animal(recommender: Recommender, pets: Taxonomy) -> None:
    dog, maybe_a_cat = mass(pets, basset_hound=1.0), mass(pets, basset_hound=0.9995, siamese=0.0005)
    assert product_of(recommender, pets, basset_hound=0.9995, siamese=0.0005) == "clear_balance"
    alone = recommender.recommend(dog * 0.9992, pets, "breed")
    together = recommender.recommend(maybe_a_cat * 0.9992, pets, "breed")
    assert alone.product is not None
    assert together.product is not None
    assert (alone.product.id, together.product.id) == ("clear_balance", "fold_care")
    assert "an animal that we do not know" in together.reason
    assert together.confidence == pytest.approx(0.9995 * 0.9992)
    too_much = recommender.recommend(mass(pets, boxer=1.0) * 1.0009, pets, "breed")
    assert too_much.confidence == pytest.approx(1.0, abs=1e-12)
    assert too_much.coats == pytest.approx({"short_smooth": 1.0})


def test_recommend_at_species_level_blends_in_the_mix_of_the_species(recommender: Recommender, pets: Taxonomy) -> None:
    joint = mass(pets, birman=0.5, ragdoll=0.5)
    unsure = recommender.recommend(joint, pets, "species")
    assert unsure.product is not None
    assert (unsure.product.id, unsure.rule) == ("gentle_everyday", "safe_fallback")
    assert unsure.coats["short_smooth"] == pytest.approx(0.5 * 0.55)
    listed = recommender.recommend(joint, pets, "species", unlisted=0.05)
    assert listed.product is not None
    assert listed.product.id == "cat_longhair"
    assert listed.confidence == pytest.approx(0.95 + 0.05 * 0.19)


def test_recommend_unknown_pet_gets_a_kind_sentence_and_no_product(
    recommender: Recommender, catalog: Catalog, pets: Taxonomy
) -> None:
    joint = np.full(len(pets.leaves), 1 / len(pets.leaves))
    kind = recommender.recommend(joint, pets, "unknown")
    bare = Recommender(catalog, [always("pushy", Advice("*", "Buy.", score=100))]).recommend(joint, pets, "unknown")
    assert (kind.product, kind.rule, kind.confidence) == (None, "safe_fallback", 0.0)
    assert (bare.product, bare.rule) == (None, "unknown_pet")
    assert kind.reason.startswith("We would rather not guess")
    assert bare.reason.startswith("We do not know this animal")


def test_recommend_takes_breeds_and_species_that_are_not_listed(recommender: Recommender) -> None:
    own = Taxonomy(tree={"cat": ("barn_cat", "siamese"), "dog": (), "horse": ("arabian",)})
    barn_cat = recommender.recommend(mass(own, barn_cat=1.0), own, "breed")
    dog = recommender.recommend(mass(own, dog=1.0), own, "species")
    horse = recommender.recommend(mass(own, arabian=1.0), own, "breed")
    assert barn_cat.product is not None
    assert barn_cat.coats["short_smooth"] == pytest.approx(0.55)
    assert dog.product is not None
    assert "almost surely a dog" in dog.reason
    assert horse.product is None
    assert horse.reason == "We have no shampoo that is made for a horse yet."


@pytest.mark.parametrize(("arabian", "product"), [(0.49, "gentle_everyday"), (0.55, None), (0.66, None), (1.0, None)])
@pytest.mark.parametrize("level", ["breed", "species"])
def test_recommend_takes_only_what_is_made_for_the_likeliest_species(
    recommender: Recommender, level: Level, arabian: float, product: str | None
) -> None:
    own = Taxonomy(tree={"dog": ("beagle", "yorkshire_terrier"), "horse": ("arabian",)})
    torn = (1 - arabian) / 2
    joint = mass(own, arabian=arabian, beagle=torn, yorkshire_terrier=torn)
    found = recommender.recommend(joint, own, level)
    assert (found.product.id if found.product else None) == product
    if product is None:
        assert found.reason == "We have no shampoo that is made for a horse yet."


def test_recommend_no_rule_brings_back_what_is_made_for_another_species(catalog: Catalog, pets: Taxonomy) -> None:
    pushy = Recommender(catalog, [always("pushy", Advice("cat_longhair", "Buy.", score=100))])
    torn = mass(pets, birman=0.4, boxer=0.6)
    found = pushy.recommend(torn, pets, "species")
    assert found.product is not None
    assert found.product.id != "cat_longhair"
    assert "it is not made for a dog." in {one.reason for one in found.ruled_out if one.product == "cat_longhair"}
    unknown = pushy.recommend(torn, pets, "unknown")  # nobody says that it is a dog
    assert "it is not made for a dog." not in {one.reason for one in unknown.ruled_out}


def test_recommend_keeps_hazards_from_a_species_that_is_not_listed(catalog: Catalog) -> None:
    own = Taxonomy(tree={"cat": (), "dog": (), "rabbit": ()})
    push = Recommender(catalog, [always("push", Advice("flea_guard", "Fleas.", score=50))])
    assert push.recommend(mass(own, dog=0.998, rabbit=0.002), own, "species").product != catalog.products["flea_guard"]
    assert push.recommend(mass(own, dog=1.0), own, "species").product == catalog.products["flea_guard"]


def test_recommend_rules_add_veto_and_rerank(catalog: Catalog, pets: Taxonomy) -> None:
    beagle = mass(pets, beagle=1.0)
    add = always("summer", Advice("flea_guard", "Fleas are about.", score=2))
    veto = always("stock", Advice("gentle_everyday", "It is sold out.", veto=True))
    rerank = always(
        "season", Advice("smooth_shine", "It is on offer.", score=0.1), Advice("smooth_shine", "More.", score=2)
    )
    plain = Recommender(catalog).recommend(beagle, pets, "breed")
    added = Recommender(catalog, [add]).recommend(beagle, pets, "breed")
    vetoed = Recommender(catalog, [veto]).recommend(beagle, pets, "breed")
    reranked = Recommender(catalog, [rerank]).recommend(beagle, pets, "breed")
    assert plain.product is not None
    assert (plain.product.id, plain.rule) == ("gentle_everyday", "expected_value")
    assert added.product is not None
    assert (added.product.id, added.rule) == ("flea_guard", "summer")
    assert "Fleas are about." in added.reason
    assert vetoed.product is not None
    assert (vetoed.product.id, vetoed.rule) == ("undercoat_release", "stock")
    assert [one.reason for one in vetoed.ruled_out] == ["It is sold out."]
    assert reranked.product is not None
    assert (reranked.product.id, reranked.rule) == ("smooth_shine", "season")


def test_recommend_names_the_rule_that_spoke_for_the_product_and_none_that_spoke_against_it(
    catalog: Catalog, pets: Taxonomy
) -> None:
    for advice, rule in (
        (Advice("*", "All is on sale.", score=0.5), "shop"),
        (Advice("gentle_everyday", "It is dull.", score=-0.1), "expected_value"),
    ):
        torn = mass(pets, beagle=0.5, yorkshire_terrier=0.5)
        answer = Recommender(catalog, [always("shop", advice)]).recommend(torn, pets, "breed")
        assert answer.product == catalog.products["gentle_everyday"]
        assert answer.rule == rule
        assert (advice.reason in answer.reason) == (rule == "shop")


def test_recommend_of_equal_products_takes_the_safest_then_the_cheapest(catalog: Catalog, pets: Taxonomy) -> None:
    plain = catalog.products["gentle_everyday"]
    cheap = plain.model_copy(update={"id": "zz_cheap", "price": 1.0})
    toxic = cheap.model_copy(update={"id": "zz_toxic", "price": 0.5, "contains": ("tea_tree_oil",)})
    shelf = Recommender(replace(catalog, products={one.id: one for one in (plain, cheap, toxic)}))
    assert product_of(shelf, pets, beagle=1.0) == "zz_toxic"
    assert product_of(shelf, pets, beagle=1 - 1e-12, siamese=1e-12) == "zz_cheap"


def test_recommend_leaves_what_is_on_request_to_rules(
    recommender: Recommender, catalog: Catalog, pets: Taxonomy
) -> None:
    on_request = {product.id for product in catalog.products.values() if product.on_request}
    assert on_request
    for row in np.eye(len(pets.leaves)):
        answer = recommender.recommend(row, pets, "breed")
        assert answer.product is not None
        assert answer.product.id not in on_request


@pytest.mark.parametrize("score", [2.0, 1e6])
def test_recommend_lets_no_rule_undo_a_contraindication(catalog: Catalog, pets: Taxonomy, score: float) -> None:
    cat = mass(pets, siamese=1.0)
    pushy = Recommender(catalog, [always("pushy", Advice("flea_guard", "Buy it.", score=score))])
    answer = pushy.recommend(cat, pets, "breed")
    assert answer.product is not None
    assert answer.product.id != "flea_guard"
    assert "flea_guard" in [one.product for one in answer.ruled_out]
    assert "poisonous to cats" in answer.reason


def test_recommend_no_rule_can_tamper_with_what_it_is_shown(catalog: Catalog, pets: Taxonomy) -> None:
    def tamper(case: Case) -> Iterator[Advice]:
        object.__setattr__(case.offers["flea_guard"], "harm", 0.0)
        yield Advice("flea_guard", "Harmless.", score=1e6)

    answer = Recommender(catalog, [PlainRule("tamper", tamper)]).recommend(mass(pets, siamese=1.0), pets, "breed")
    assert answer.product is not None
    assert answer.product.id != "flea_guard"

    def overwrite(case: Case) -> Iterator[Advice]:
        case.offers["flea_guard"] = case.offers["cat_sleek"]  # type: ignore[index]
        yield Advice("flea_guard", "Harmless.", score=1e6)

    with pytest.raises(TypeError):
        Recommender(catalog, [PlainRule("overwrite", overwrite)]).recommend(mass(pets, siamese=1.0), pets, "breed")


def test_reasons_are_said_in_the_language_that_is_spoken(recommender: Recommender, pets: Taxonomy) -> None:
    with speaking("de"):
        first, *_ = recommender.recommend(mass(pets, boxer=1.0), pets, "breed").record(explain=True).explain
    assert all(
        re.fullmatch(r"geeignet \d,\d{4}, schlecht für \d,\d{4}, Schaden \d,\d{4}", a.reason) for a in first.advice
    )


def test_record_explains_every_rule_in_order_and_who_led_after_it(recommender: Recommender, pets: Taxonomy) -> None:
    answer = recommender.recommend(mass(pets, boxer=0.99, siamese=0.01), pets, "breed")
    explained = answer.record(explain=True).model_dump(mode="json")
    names = [rule.name for rule in recommender.rules]
    final = ["other_species", "contraindications"]
    assert [step["rule"] for step in explained["explain"]] == ["expected_value", *names, *final]
    assert explained["explain"][-1]["leader"] == explained["product"]
    vetoed = {said["product"] for said in explained["explain"][-1]["advice"] if said["veto"]}
    assert vetoed == {"clear_balance", "flea_guard", "tea_tree_fresh"}
    assert answer.record().explain is None
    assert json.loads(json.dumps(explained)) == explained


def test_record_keeps_its_keys_when_there_is_no_product(recommender: Recommender, pets: Taxonomy) -> None:
    some = recommender.recommend(mass(pets, pug=1.0), pets, "breed").record().model_dump(mode="json")
    none = recommender.recommend(mass(pets, pug=1.0), pets, "unknown").record().model_dump(mode="json")
    assert list(some) == list(none)
    assert (some["product"], some["price"]) == ("fold_care", {"amount": 11.5, "currency": "EUR"})
    assert (none["product"], none["name"], none["price"], none["confidence"]) == (None, None, None, 0.0)
    assert none["reason"]


@pytest.mark.parametrize(
    ("joint", "kwargs"),
    [
        ([0.5, 0.4], {}),
        ([0.7, 0.4], {}),
        ([1.0], {}),
        ([[0.5, 0.5]], {}),
        ([float("nan"), 1.0], {}),
        ([float("inf"), 0.0], {}),
        ([-0.1, 1.1], {}),
        ([0.5, 0.4985], {}),
        ([0.5, 0.5], {"unlisted": -0.1}),
        ([0.5, 0.5], {"beside": [[1.5, -0.5]]}),
        ([0.5, 0.5], {"beside": [[1.0, 0.5]]}),
        ([0.5, 0.5], {"beside": [[1.0, 0.0, 0.0]]}),
        ([0.5, 0.5], {"beside": [[np.nan, 1.0]]}),
        ([0.5, 0.5], {"looks_like": [-1.0, 1.0]}),
        ([0.5, 0.5], {"looks_like": [1.0]}),
        ([0.5, 0.5], {"bystanders": [0.1, 1.1]}),
        ([0.5, 0.5], {"bystanders": [float("nan"), 0.1]}),
        ([0.5, 0.5], {"bystanders": [0.1]}),
    ],
)
def test_recommend_what_is_no_distribution_is_refused(
    recommender: Recommender, joint: list[float], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        recommender.recommend(np.array(joint), Taxonomy(tree={"cat": (), "dog": ()}), "species", **kwargs)


@pytest.mark.parametrize("bound", [-0.001, 0.011, 1.0, float("nan")])
def test_recommender_refuses_a_bound_that_is_no_safeguard(catalog: Catalog, bound: float) -> None:
    with pytest.raises(ConfigError, match="bound on harm"):
        Recommender(catalog, bound=bound)
    assert Recommender(catalog, bound=0.0).bound == 0.0
    assert DEFAULT_BOUND == 0.001


def test_recommend_rule_that_advises_an_unknown_product_is_named(catalog: Catalog, pets: Taxonomy) -> None:
    joint = mass(pets, pug=1.0)
    unknown = Recommender(catalog, [always("odd", Advice("gentle_everyday_2", "?"))])
    with pytest.raises(
        PluginError, match=r"'odd': advises .* 'gentle_everyday_2' \(did you mean 'gentle_everyday'\?\)"
    ):
        unknown.recommend(joint, pets, "breed")


def test_recommend_order_of_the_taxonomy_does_not_matter(recommender: Recommender, pets: Taxonomy) -> None:
    backwards = Taxonomy(tree={s: tuple(reversed(b)) for s, b in reversed(pets.tree.items())})
    shares = {"pug": 0.4, "boxer": 0.35, "beagle": 0.2, "sphynx": 0.05}
    one = recommender.recommend(mass(pets, **shares), pets, "breed")
    other = recommender.recommend(mass(backwards, **shares), backwards, "breed")
    assert (one.product, one.reason) == (other.product, other.reason)
    assert one.confidence == pytest.approx(other.confidence)


def test_recommend_what_is_toxic_to_the_animal_beside_it_is_out(recommender: Recommender, pets: Taxonomy) -> None:
    dog = mass(pets, basset_hound=1.0)
    cat, other_dog, nobody_knows = ([float(name == who) for name in pets.species] for who in ("cat", "dog", "none"))
    alone, beside_cat, beside_dog, beside_unknown = (
        recommender.recommend(dog, pets, "breed", beside=[np.array(one) for one in others])
        for others in ([], [cat, other_dog], [other_dog], [nobody_knows])
    )
    assert alone.product is not None
    assert alone.product.id == "clear_balance"
    assert beside_dog.product == alone.product
    for answer, why in (
        (beside_cat, "a cat is in the photo too"),
        (beside_unknown, "an animal in the photo that we do not know"),
    ):
        assert answer.product is not None
        assert answer.product.id == "fold_care"
        assert why in answer.ruled_out[0].reason
        assert "This is almost surely a Basset Hound" in answer.reason


def test_recommend_what_is_toxic_to_what_it_looks_like_is_out_whatever_the_caller_says(
    recommender: Recommender, pets: Taxonomy
) -> None:
    dog, cat = mass(pets, basset_hound=1.0), [float(name == "cat") for name in pets.species]
    other_dog = [float(name == "dog") for name in pets.species]
    for beside in ([], [np.array(other_dog)]):
        answer = recommender.recommend(dog, pets, "breed", looks_like=np.array(cat), beside=beside)
        assert answer.product is not None
        assert answer.product.id == "fold_care"
        assert "clear_balance" in [one.product for one in answer.ruled_out]
        assert "in the photo too" not in answer.ruled_out[0].reason
    assert recommender.recommend(dog, pets, "breed", looks_like=np.array(other_dog)).ruled_out == ()


def test_recommend_speaks_of_no_product_that_is_ruled_out_and_worth_less(catalog: Catalog, pets: Taxonomy) -> None:
    """Torn between two coats: what suits one of them alone is worth less than what suits both."""
    torn = mass(pets, beagle=0.5, yorkshire_terrier=0.5)
    for product, is_told in (("silk_detangle", False), ("gentle_everyday", True)):
        sold_out = Recommender(catalog, [always("stock", Advice(product, "It is sold out.", veto=True))])
        answer = sold_out.recommend(torn, pets, "breed")
        assert [one.product for one in answer.ruled_out] == [product]
        assert ("is ruled out" in answer.reason) == is_told
    every = [Advice(product, "It is sold out.", veto=True) for product in ("silk_detangle", "gentle_everyday")]
    for advice in (every, every[::-1]):
        answer = Recommender(catalog, [always("stock", *advice)]).recommend(torn, pets, "breed")
        assert [one.product for one in answer.ruled_out] == ["gentle_everyday", "silk_detangle"], "the best first"


def test_recommend_tells_of_harm_before_what_a_rule_says(catalog: Catalog, pets: Taxonomy) -> None:
    pushed = Advice("flea_guard", "Fleas are about.", score=2), Advice("flea_guard", "It is sold out.", veto=True)
    answer = Recommender(catalog, [always("shop", *pushed)]).recommend(mass(pets, siamese=1.0), pets, "breed")
    (flea_guard,) = [one for one in answer.ruled_out if one.product == "flea_guard"]
    assert "poisonous to cats" in flea_guard.reason


def test_recommend_gives_the_pet_itself_as_reason_before_another_like_it(
    recommender: Recommender, pets: Taxonomy
) -> None:
    cat = [float(name == "cat") for name in pets.species]
    alone = recommender.recommend(mass(pets, sphynx=1.0), pets, "breed")
    beside_cat = recommender.recommend(mass(pets, sphynx=1.0), pets, "breed", beside=[np.array(cat)])
    assert beside_cat.steps == alone.steps


def test_recommend_says_what_a_product_must_be_kept_away_from(recommender: Recommender, pets: Taxonomy) -> None:
    answer = recommender.recommend(mass(pets, basset_hound=1.0), pets, "breed")
    assert "Keep it away from any cat: it contains salicylic acid, which cats break down too slowly." in answer.reason


def test_recommend_speaks_of_a_breed_as_the_record_does(recommender: Recommender, pets: Taxonomy) -> None:
    """An unlisted breed takes from the listed ones; where nobody judged that, nothing is taken."""
    birman = mass(pets, birman=0.96, sphynx=0.04)
    judged = recommender.recommend(birman, pets, "species", unlisted=0.5)
    assumed = recommender.recommend(birman, pets, "species")
    assert "(48%)" in judged.reason
    assert "(96%)" in assumed.reason


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "pt"])
def test_sentences_begin_with_a_capital_and_say_ingredients_of_a_label_in_every_language(
    catalog: Catalog, pets: Taxonomy, language: Language
) -> None:
    oil = catalog.products["gentle_everyday"].model_copy(update={"contains": ("eucalyptus_oil",)})
    recommender = Recommender(replace(catalog, products={**catalog.products, "gentle_everyday": oil}))
    for share in (1.0, 0.9, 0.5):
        unsure = mass(pets, siamese=share / 2, persian=share / 2, pug=1 - share)
        with speaking(language):
            answer = recommender.recommend(unsure, pets, "species")
        assert answer.reason[0].isupper(), answer.reason
        assert language == "en" or "eucalyptus oil" not in str(answer.ruled_out)


def test_sentences_say_names_as_people_do(catalog: Catalog) -> None:
    tree = Taxonomy(tree={"cat": ("european_shorthair", "egyptian_mau"), "guinea_pig": ()})
    recommender = Recommender(catalog)
    assert "a European Shorthair" in recommender.recommend(mass(tree, european_shorthair=1.0), tree, "breed").reason
    assert "an Egyptian Mau" in recommender.recommend(mass(tree, egyptian_mau=1.0), tree, "breed").reason
    assert "a guinea pig" in recommender.recommend(mass(tree, guinea_pig=1.0), tree, "species").reason
