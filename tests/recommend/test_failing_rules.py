"""A shampoo rule is somebody's code: what it does wrong is a PluginError of that photo alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.shampoo import mass

from hierpets.errors import PluginError
from hierpets.recommend.choose import Recommender
from hierpets.recommend.result import RecommendationRecord
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy

CATS_ALONE = """
from hierpets.plugin import Advice
def rule(case):
    if case.species["dog"] > 0.5:
        {fault}
    yield Advice("gentle_everyday", "It is mild.", score=0.1)
"""


def recommender(shop: Path, code: str) -> Recommender:
    (shop.parent / "rule.py").write_text(code)
    shop.write_text("plugins:\n  - {name: mine, kind: shampoo_rule, entry: 'rule.py:rule'}\n")
    return Recommender.load(load_registry(shop))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("1 / 0", r"rule\.py:5\): ZeroDivisionError: division by zero"),
        ("case.breeds['dog', 'poodle']", r"rule\.py:5\): KeyError"),
        ("case.coats['curly'] = 1.0", r"rule\.py:5\): TypeError"),
        ("raise SystemExit(3)", r"rule\.py:5\): SystemExit: 3"),
        ("import no_such_package", r"rule\.py:5\): ModuleNotFoundError"),
        ("yield 'gentle_everyday'", r"rule\.py:3\): expected every item to be an Advice, got str"),
        ("yield Advice('gentle_everyday', None, veto=True)", r"rule\.py:3\): expected Advice.reason .* got None"),
        ("yield Advice('gentle_everyday', 3, score=1.0)", r"rule\.py:3\): expected Advice.reason .* got 3"),
        ("yield Advice('gentle_everyday', 'Why.', score=10**400)", r"rule\.py:3\): expected Advice.score .* got 1000"),
        (
            "yield Advice('gentle_evryday', 'Why.')",
            r"rule\.py:3\): advises .* 'gentle_evryday' \(did you mean 'gentle_everyday'\?\)",
        ),
        (
            "yield Advice('gentle_everyday', 'Why.', score=1e7)",
            r"rule\.py:3\): .* a number within 1,000,000 of 0, got 10000000",
        ),
        (
            "yield Advice('gentle_everyday', 'Why.', score=float('nan'))",
            r"rule\.py:3\): expected Advice.score .* got nan",
        ),
    ],
)
def test_recommend_raises_plugin_error_for_the_photo_at_which_a_rule_fails(
    shop: Path, pets: Taxonomy, fault: str, words: str
) -> None:
    own = recommender(shop, CATS_ALONE.format(fault=fault))
    for _ in range(2):
        with pytest.raises(PluginError, match=words):
            own.recommend(mass(pets, pug=1.0), pets, "breed")
        cat = own.recommend(mass(pets, siamese=1.0), pets, "breed")
        assert cat.product is not None
        assert "mine" in [step.rule for step in cat.steps]


def test_recommend_raises_plugin_error_where_a_rule_cannot_be_imported(shop: Path, pets: Taxonomy) -> None:
    own = recommender(shop, "def rule(case:\n")
    with pytest.raises(PluginError, match=r"shampoo_rule 'mine' \(.*rule\.py:1\): SyntaxError"):
        own.recommend(mass(pets, pug=1.0), pets, "breed")


def test_failed_record_names_the_error_and_no_product() -> None:
    record = RecommendationRecord.failed("shampoo_rule 'mine' (rule.py:5): KeyError: 'x'")
    assert record == RecommendationRecord.model_validate(record.model_dump())
    assert (record.product, record.name, record.price, record.rule, record.confidence) == (None, None, None, None, 0.0)
    assert record.error == "shampoo_rule 'mine' (rule.py:5): KeyError: 'x'"
    assert record.reason.endswith(".")


def test_record_holds_what_its_model_allows(shop: Path, pets: Taxonomy) -> None:
    """It is made without validation, for speed: validation would change nothing."""
    built_in = Recommender.load(load_registry())
    for explain in (False, True):
        for shares in ({"pug": 1.0}, {"basset_hound": 0.99, "siamese": 0.01}, {"sphynx": 0.5, "beagle": 0.5}):
            for level in ("breed", "species", "unknown"):
                found = built_in.recommend(mass(pets, **shares), pets, level)
                record = found.record(explain=explain)
                dumped = record.model_dump(mode="json")
                assert RecommendationRecord.model_validate(dumped) == record
                assert list(dumped) == list(RecommendationRecord.model_fields)
