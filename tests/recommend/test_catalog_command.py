from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import BackboneSpec, Manifest
from hierpets.cli import cli
from hierpets.errors import HierpetsError
from hierpets.plugin import Preprocess
from hierpets.recommend.loading import FOLDER
from hierpets.registry.loading import bundled_registry
from hierpets.taxonomy import Taxonomy


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["catalog", *map(str, arguments)], standalone_mode=False)


def test_catalog_check_passes_the_built_in_one() -> None:
    result = run("check")
    assert result.return_value == 0
    assert result.output == "135 breeds, 20 ingredients, 15 products: 0 errors, 0 warnings\n"


def test_catalog_check_names_a_file_that_nothing_reads(shop: Path) -> None:
    misnamed = shop.parent / "plugins" / "shampoo" / "product.yaml"
    misnamed.write_text("brand: Own\n")
    result = run("check", "--registry", shop)
    expected = "expected one of breeds.yaml, ingredients.yaml, products.yaml"
    assert f"warning: {misnamed}: is not read; {expected}" in result.output


def test_catalog_check_names_a_file_that_lies_beside_the_registry(shop: Path) -> None:
    (shop.parent / "ingredients.yaml").write_text("ingredients: {}\n")
    folder = shop.parent / "plugins" / "shampoo"
    output = run("check", "--registry", shop).output
    assert f"warning: {shop.parent / 'ingredients.yaml'}: is not read; put it into {folder}" in output


SHELF = """\
brand: Own
currency: USD
products:
  - {id: plain, name: Plain, claim: cleans, suits: {species: [cat, dog]}, contains: [glycerin], price: 5}
  - {id: dear, name: Dear, claim: cleans, suits: {species: [cat, dog]}, contains: [glycerin], price: 50}
  - {id: wool, name: Wool, claim: cleans, suits: {species: [cat], coats: [curly]}, contains: [glycerin], price: 5}
  - id: fresh
    name: Fresh
    claim: smells
    suits: {species: [dog, cat]}
    contains: [glycerin, melaleuca_oil]
    price: 4
"""


def test_catalog_check_finds_what_is_wrong_with_file_and_line(shop: Path) -> None:
    folder = shop.parent / "plugins" / "shampoo"
    (folder / "products.yaml").write_text(SHELF)
    (folder / "sleepy.py").write_text("def sleepy(case):\n    return []\n")
    shop.write_text("plugins:\n  - name: sleepy\n    kind: shampoo_rule\n    entry: plugins/shampoo/sleepy.py:sleepy\n")
    result = run("check", "--registry", shop)
    assert result.return_value == 1
    file = folder / "products.yaml"
    *findings, summary = result.output.splitlines()
    assert [line for line in findings if "products.yaml:" in line or line.startswith("error")] == [
        f"error: {file}:6: products[2].suits: 'wool' suits no breed and no coat mix of a species",
        f"error: {file}:10: products[3].suits.species: 'fresh' is made for the species cat, but it contains melaleuca "
        "oil, which is poisonous to cats",
        f"error: {file}:11: products[3].contains[1]: 'fresh' contains melaleuca oil, which is poisonous to cats: "
        "add 'cat' to contraindicated_species",
        f"error: {shop}:2: rule 'sleepy' never fires: it advises nothing for any pet",
        f"warning: {file}:5: products[1]: 'dear' is never the best choice, whether the breed is certain or not",
        f"warning: {file}:6: products[2]: 'wool' is never the best choice, whether the breed is certain or not",
    ]
    # Nothing on this shelf is made for a coat or a skin: the built-in rules for those have nothing to say.
    assert sum("never fires" in line and line.startswith("warning") for line in findings) == 2
    assert summary == "135 breeds, 20 ingredients, 4 products: 4 errors, 4 warnings"


def test_catalog_check_counts_a_shelf_of_one_product(shop: Path) -> None:
    products = shop.parent / "plugins" / "shampoo" / "products.yaml"
    products.write_text("\n".join(SHELF.splitlines()[:4]))
    assert "20 ingredients, 1 product: " in run("check", "--registry", shop).output


def test_catalog_check_names_the_line_of_a_rule_that_fails(shop: Path) -> None:
    (shop.parent / "broken.py").write_text("def broken(case):\n    return 1 / 0\n")
    shop.write_text("plugins:\n\n  - name: broken\n    kind: shampoo_rule\n    entry: broken.py:broken\n")
    result = run("check", "--registry", shop)
    assert result.return_value == 1
    assert f"error: {shop}:3: shampoo_rule 'broken'" in result.output
    assert "ZeroDivisionError" in result.output


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        ("d-limonen: {}", "d-limonen: looks like 'd_limonene', which can poison cats; use that name, or add 'cat'"),
        ("permethrin_0.5%: {}", "looks like 'permethrin', which is poisonous to cats"),
        ("water: {aliases: [permetrin]}", "water: looks like 'permethrin', which is poisonous to cats"),
        ("tea_tree: {}", "looks like 'tea_tree_oil', which is poisonous to cats"),
        ("eucalyptus_leaf_extract: {}", "looks like 'eucalyptus_oil', which can poison cats when licked off"),
        ("white_willow: {}", "looks like 'willow_bark', which cats break down too slowly"),
        ("permetrin: {not_for: {cat: poisons cats}}", None),
        ("tartaric_acid: {}", None),
        ("green_tea_extract: {}", None),
        ("olive_oil: {}", None),
        ("chamomile_extract: {}", None),
    ],
)
def test_catalog_check_warns_of_a_harmless_ingredient_that_looks_like_a_harmful_one(
    shop: Path, entry: str, warning: str | None
) -> None:
    own = shop.parent / "plugins" / "shampoo" / "ingredients.yaml"
    own.write_text(f"ingredients:\n  {entry}\n")
    found = [line for line in run("check", "--registry", shop).output.splitlines() if str(own) in line]
    assert len(found) == (warning is not None)
    assert all(line.startswith(f"warning: {own}:2: ingredients.") and str(warning) in line for line in found)


def test_catalog_check_finds_an_irritant_that_is_no_ingredient(shop: Path) -> None:
    shutil.copy(bundled_registry().parent / FOLDER / "skin.py", shop.parent)
    shop.write_text(
        "plugins:\n  - name: sensitive_skin\n    kind: shampoo_rule\n    entry: skin.py:sensitive_skin\n"
        "    options: {irritants: [perfume, fragance]}\n"
    )
    result = run("check", "--registry", shop)
    assert result.return_value == 1
    assert f"error: {shop}:2: " in result.output
    assert "expected irritants that ingredients.yaml lists, got fragance" in result.output


def write_bundle(folder: Path, tree: dict[str, tuple[str, ...]]) -> Path:
    backbone = BackboneSpec(name="any", feature_dim=4)
    manifest = Manifest(taxonomy=Taxonomy(tree=tree), preprocess=Preprocess(), backbone=backbone)
    (folder / "bundle.json").write_text(manifest.model_dump_json())
    return folder


def test_catalog_check_finds_breeds_of_a_bundle_without_a_coat(tmp_path: Path) -> None:
    tree = {"cat": ("siamese", "siamesse", "Birman"), "horse": ("arabian",)}
    result = run("check", "--model", write_bundle(tmp_path, tree))
    assert result.return_value == 1
    assert "breed cat/siamesse has no coat (did you mean 'siamese'?)" in result.output
    assert "species 'horse' is not listed" in result.output
    assert "breed cat/siamese has no coat" not in result.output
    assert "cat/Birman" not in result.output, "another spelling of a breed that is listed"


def test_catalog_check_counts_a_single_error_as_one(tmp_path: Path) -> None:
    result = run("check", "--model", write_bundle(tmp_path, {"cat": ("siamese",), "horse": ()}))
    assert ": 1 error, " in result.output


def test_catalog_check_names_products_that_a_model_never_allows(tmp_path: Path) -> None:
    """A model of dogs alone cannot rule out a cat; the released one can."""
    excluded = "'flea_guard' is never recommended with this model, which cannot rule out a cat"
    dogs = run("check", "--model", write_bundle(tmp_path, {"dog": ("pug",)}))
    assert excluded in dogs.output
    assert dogs.return_value == 0
    assert "never recommended" not in run("check", "--model", released_bundle()).output


def test_catalog_show_shows_breeds_of_one_name_in_two_species(shop: Path) -> None:
    coat = "coat: {length: short, undercoat: dense, texture: plush, shedding: low}"
    breeds = f"species:\n  cat: {{breeds: {{rex: {{{coat}}}}}}}\n  rabbit: {{breeds: {{rex: {{{coat}}}}}}}\n"
    (shop.parent / "plugins" / "shampoo" / "breeds.yaml").write_text(breeds)
    assert [line for line in run("show", "rex", "--registry", shop).output.splitlines() if line[0] != " "] == [
        "Rex (cat)",
        "Rex (rabbit)",
    ]


def test_catalog_show_lists_and_explains() -> None:
    everything = run("show").output
    assert "cat/sphynx" in everything
    assert "flea_guard" in everything
    assert "50% long_silky" in run("show", "chihuahua").output
    assert "hairless" in run("show", "cat/sphynx").output
    assert "never    cat: it contains permethrin, which is poisonous to cats" in run("show", "flea_guard").output


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Siamese", "Siamese (cat)"),
        ("Deutscher Schäferhund", "German Shepherd (dog)"),
        ("Cat/Sphynx", "Sphynx (cat)"),
        ("Flea Guard", "Tidewhisker Flea Guard"),
    ],
)
def test_catalog_show_takes_every_name_that_other_commands_take(name: str, title: str) -> None:
    assert run("show", name).output.startswith(title)


def test_catalog_show_suggests_the_name_that_was_meant() -> None:
    with pytest.raises(HierpetsError, match=r"no breed or product 'sfynx' \(did you mean 'sphynx'\?\)"):
        CliRunner().invoke(cli, ["catalog", "show", "sfynx"], standalone_mode=False, catch_exceptions=False)


def test_catalog_show_completes_breeds_and_products(shop: Path) -> None:
    def complete(*words: str) -> list[str]:
        completion = ShellComplete(cli, {}, "hierpets", "_HIERPETS_COMPLETE")
        return [item.value for item in completion.get_completions(["catalog", "show", *words[:-1]], words[-1])]

    assert complete("pu") == ["pug"]
    assert complete("flea") == ["flea_guard"]
    assert complete("zzz") == []
    assert complete("--registry", str(shop.with_name("none.yaml")), "pu") == []
