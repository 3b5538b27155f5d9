"""What docs/care.md shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.shampoo import mass

from hierpets.recommend.choose import Recommender
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy

PAGE = (Path(__file__).parents[2] / "docs" / "care.md").read_text(encoding="utf-8")


def snippet(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_page_breed_and_rule_work_as_shown(shop: Path) -> None:
    folder = shop.parent / "plugins" / "shampoo"
    (folder / "breeds.yaml").write_text(snippet("yaml"))
    (folder / "flea.py").write_text(snippet("python"))
    taxonomy = Taxonomy(tree={"cat": ("siamese",), "dog": ("poodle",)})
    poodle, siamese = mass(taxonomy, poodle=1.0), mass(taxonomy, siamese=1.0)

    curly = Recommender.load(load_registry(shop)).recommend(poodle, taxonomy, "breed")
    assert curly.coats == {"curly": 1.0}

    shop.write_text("plugins:\n  - {name: fleas, kind: shampoo_rule, entry: 'plugins/shampoo/flea.py:flea_season'}\n")
    recommender = Recommender.load(load_registry(shop))
    dog = recommender.recommend(poodle, taxonomy, "breed")
    cat = recommender.recommend(siamese, taxonomy, "breed")
    assert dog.product is not None
    assert (dog.product.id, dog.rule) == ("flea_guard", "fleas")
    assert cat.product is not None
    assert cat.product.id == "cat_sleek"
    assert "permethrin" in cat.reason
