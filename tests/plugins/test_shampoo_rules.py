from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hierpets.errors import PluginError
from hierpets.messages.catalogue import speaking
from hierpets.plugin import Advice, Case, Offer
from hierpets.recommend.loading import load_catalog
from hierpets.registry.loading import load_registry

PLAIN = Offer(
    name="Plain",
    suits=1.0,
    avoid=0.0,
    harm=0.0,
    species=("cat", "dog"),
    coats=(),
    skin=(),
    contains=("glycerin",),
    price=5.0,
    on_request=False,
)

CASE = Case(
    species={"cat": 0.1, "dog": 0.9},
    breeds={("cat", "birman"): 0.1, ("dog", "pug"): 0.9},
    level="breed",
    coats={"short_smooth": 0.9, "long_silky": 0.1},
    skin={"sensitive": 0.9, "folds": 0.9, "oily": 0.0},
    offers={
        "plain": PLAIN,
        "coat": replace(PLAIN, coats=("short_smooth",), suits=0.9),
        "other_coat": replace(PLAIN, coats=("wiry",), suits=0.0),
        "mild": replace(PLAIN, skin=("sensitive",), suits=0.9),
        "scented": replace(PLAIN, contains=("glycerin", "fragrance")),
        "folds": replace(PLAIN, skin=("folds",), suits=0.9),
    },
    ingredients=load_catalog().ingredient_names,
)


def said(rule: str, case: Case = CASE, **options: Any) -> dict[str, Advice]:
    return {advice.product: advice for advice in load_registry().get("shampoo_rule", rule).call(case, **options)}


def test_coat_type_prefers_what_is_made_for_the_coat() -> None:
    advice = said("coat_type")
    assert list(advice) == ["coat"]
    assert advice["coat"].score == pytest.approx(0.25 * 0.9)
    assert said("coat_type", weight=1.0)["coat"].score == pytest.approx(0.9)


def test_sensitive_skin_prefers_mild_and_vetoes_perfume() -> None:
    advice = said("sensitive_skin")
    assert advice["mild"].score == pytest.approx(0.2 * 0.9)
    assert advice["scented"].veto
    assert "fragrance" in advice["scented"].reason
    assert set(advice) == {"mild", "scented"}


def test_sensitive_skin_knows_an_irritant_by_an_alias_and_refuses_one_that_nothing_contains() -> None:
    assert said("sensitive_skin", irritants=("perfume",))["scented"].veto
    with pytest.raises(PluginError, match=r"expected irritants that ingredients.yaml lists, got fragance"):
        said("sensitive_skin", irritants=("perfume", "fragance"))


def test_sensitive_skin_calls_an_irritant_as_other_sentences_do() -> None:
    case = replace(CASE, offers={"citrus": replace(PLAIN, contains=("d_limonene",))})
    assert "it contains d-limonene," in said("sensitive_skin", case)["citrus"].reason
    with speaking("de"):
        assert "es enthält D-Limonen;" in said("sensitive_skin", case)["citrus"].reason


def test_skin_needs_refuses_a_weight_of_what_it_does_not_know() -> None:
    with pytest.raises(PluginError, match=r"expected weights of oily, folds, hot_spots, got hotspots"):
        said("skin_needs", weights={"hotspots": 1.0})


def test_sensitive_skin_allows_perfume_where_few_breeds_are_prone() -> None:
    case = replace(CASE, skin={"sensitive": 0.15})
    assert "scented" not in said("sensitive_skin", case)
    assert said("sensitive_skin", case, veto_above=0.1)["scented"].veto
    assert not said("sensitive_skin", irritants=("glycerin",))["plain"].score
    assert said("sensitive_skin", irritants=("glycerin",))["plain"].veto


def test_skin_needs_prefers_what_is_made_for_them() -> None:
    advice = said("skin_needs")
    assert list(advice) == ["folds"]
    assert said("skin_needs", weights={"folds": 0.1})["folds"].score == pytest.approx(0.09)


def test_safe_fallback_vetoes_everything_for_an_unknown_animal() -> None:
    (advice,) = said("safe_fallback", replace(CASE, level="unknown")).values()
    assert (advice.product, advice.veto) == ("*", True)
    assert "rather not guess" in advice.reason
    own = said("safe_fallback", replace(CASE, level="unknown"), sentence="Sorry, we only wash pets.")
    assert own["*"].reason == "Sorry, we only wash pets."


def test_safe_fallback_prefers_what_suits_every_coat_for_an_unsure_breed() -> None:
    assert not said("safe_fallback")
    unsure = replace(CASE, level="species", unlisted=0.4)
    assert {product: advice.score for product, advice in said("safe_fallback", unsure).items()} == {
        "plain": pytest.approx(0.1),
        "scented": pytest.approx(0.1),
    }


@pytest.mark.parametrize("rule", ["coat_type", "sensitive_skin", "skin_needs", "safe_fallback"])
@pytest.mark.parametrize(
    "change", [lambda c: c, lambda c: replace(c, offers={}), lambda c: replace(c, coats={}, skin={})]
)
def test_shampoo_rules_take_any_case(rule: str, change: Callable[[Case], Case]) -> None:
    for level in ("breed", "species", "unknown"):
        said(rule, replace(change(CASE), level=level))
