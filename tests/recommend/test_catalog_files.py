from __future__ import annotations

import time
from pathlib import Path

import pytest

from hierpets.errors import CatalogError
from hierpets.recommend.catalog import Catalog, Coat
from hierpets.recommend.loading import load_catalog

SHELF = """\
brand: Own
currency: USD
products:
  - id: plain
    name: Plain
    claim: cleans
    suits: {species: [cat, dog]}
    contains: [glycerin]
    price: 5
"""


def write(shop: Path, **files: str) -> Path:
    for name, text in files.items():
        (shop.parent / "plugins" / "shampoo" / f"{name}.yaml").write_text(text)
    return shop


def problems(shop: Path, **files: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load_catalog(write(shop, **files))
    return [line.replace(str(shop.parent / "plugins" / "shampoo"), "") for line in caught.value.problems]


@pytest.mark.parametrize(
    ("length", "undercoat", "texture", "type_"),
    [
        ("hairless", "none", "smooth", "hairless"),
        ("short", "none", "smooth", "short_smooth"),
        ("short", "light", "harsh", "short_smooth"),
        ("short", "dense", "plush", "short_double"),
        ("medium", "light", "silky", "long_silky"),
        ("long", "none", "wavy", "long_silky"),
        ("long", "dense", "harsh", "long_double"),
        ("short", "dense", "wiry", "wiry"),
        ("long", "light", "curly", "curly"),
    ],
)
def test_coat_type_follows_from_the_description(length: str, undercoat: str, texture: str, type_: str) -> None:
    coat = Coat.model_validate({"length": length, "undercoat": undercoat, "texture": texture, "shedding": "low"})
    assert coat.type == type_
    assert coat.hairless == (type_ == "hairless")


def test_load_catalog_has_a_coat_and_a_source_for_every_breed(catalog: Catalog) -> None:
    breeds = {name: own for species in catalog.species.values() for name, own in species.breeds.items()}
    assert (len(catalog.species["cat"].breeds), len(catalog.species["dog"].breeds)) == (13, 122)
    assert all(own.coat and own.sources for own in breeds.values())


@pytest.mark.data
def test_load_catalog_names_breeds_as_the_data_does(catalog: Catalog, data_dir: Path) -> None:
    for species in ("cat", "dog"):
        folders = {folder.name for folder in (data_dir / "pets" / species).iterdir()}
        assert folders - set(catalog.species[species].breeds) == set()


def test_load_catalog_cites_sources_that_the_docs_explain(catalog: Catalog) -> None:
    page = (Path(__file__).parents[2] / "docs" / "care.md").read_text()
    cited = {
        source for species in catalog.species.values() for own in species.breeds.values() for source in own.sources
    }
    cited |= {source for one in catalog.ingredients.values() for source in one.sources}
    assert [source for source in sorted(cited) if f"**{source}**" not in page] == []


def test_hazards_hold_what_the_label_does_not_declare(catalog: Catalog, shop: Path) -> None:
    shelf = SHELF.replace("glycerin", "melaleuca_oil")
    own = load_catalog(write(shop, products=shelf))
    (hazard,) = own.hazards["plain"].items()
    assert (hazard[0], str(hazard[1])) == ("cat", "it contains melaleuca oil, which is poisonous to cats")


def test_load_catalog_adds_and_replaces_breeds(catalog: Catalog, shop: Path) -> None:
    own = load_catalog(
        write(
            shop,
            breeds="""\
species:
  horse:
    coat: {length: short, undercoat: light, texture: smooth, shedding: high}
    breeds: {arabian: {coat: {length: short, undercoat: none, texture: silky, shedding: low}}}
  dog:
    breeds:
      poodle: {coat: {length: long, undercoat: dense, texture: curly, shedding: none}}
      pug: {coat: {length: short, undercoat: dense, texture: smooth, shedding: high}}
""",
        )
    )
    assert own.species["horse"].breeds["arabian"].coat[0].type == "short_smooth"
    assert own.species["dog"].breeds["poodle"].coat[0].type == "curly"
    assert own.species["dog"].breeds["pug"].coat[0].type == "short_double"
    assert own.species["dog"].breeds["beagle"] == catalog.species["dog"].breeds["beagle"]
    assert own.species["dog"].coat == catalog.species["dog"].coat
    assert own.products == catalog.products


def test_load_catalog_replaces_products(shop: Path) -> None:
    own = load_catalog(write(shop, products=SHELF))
    assert (list(own.products), own.brand, own.currency) == (["plain"], "Own", "USD")


def test_load_catalog_keeps_the_hazards_of_an_ingredient(shop: Path) -> None:
    own = load_catalog(write(shop, ingredients="ingredients:\n  permethrin: {not_for: {dog: is not for dogs here}}\n"))
    assert own.ingredients["permethrin"].not_for == {"dog": "is not for dogs here", "cat": "is poisonous to cats"}
    assert problems(shop, ingredients="ingredients:\n  melaleuca_oil: {}\n") == [
        "/ingredients.yaml:2: ingredients.melaleuca_oil: is an alias of 'tea_tree_oil'; use that name"
    ]
    assert problems(shop, ingredients="ingredients:\n  Tea Tree Oil: {}\n") == [
        "/ingredients.yaml:2: ingredients.Tea Tree Oil: is another spelling of 'tea_tree_oil'; use that name"
    ]
    assert problems(shop, ingredients="ingredients:\n  teatreeOil: {}\n") == [
        "/ingredients.yaml:2: ingredients.teatreeOil: is another spelling of 'tea_tree_oil'; use that name"
    ]
    for taken in (
        "melaleuca_oil",
        "tea_tree_oil",
        "Melaleuca oil",
    ):  # else what is called so would be as harmless as water
        assert problems(shop, ingredients=f"ingredients:\n  water: {{aliases: [{taken}]}}\n") == [
            f"/ingredients.yaml:2: ingredients.water: its alias {taken!r} means 'tea_tree_oil' already"
        ]


@pytest.mark.parametrize(
    "name",
    [
        *("melaleuca_alternifolia_leaf_oil", "citrus_aurantium_dulcis_peel_oil", "citrus_limon_peel_oil"),
        *("mentha_piperita_oil", "eucalyptus_globulus_leaf_oil"),
        *("cyphenothrin", "deltamethrin", "cyfluthrin", "tetramethrin"),
    ],
)
def test_ingredients_that_harm_cats_are_known_by_the_names_on_labels(catalog: Catalog, name: str) -> None:
    assert "cat" in catalog.ingredient(name).not_for


def test_load_catalog_suggests_an_ingredient_as_it_is_spelled_here(shop: Path) -> None:
    (problem,) = problems(shop, products=SHELF.replace("[glycerin]", "[Tea Tree Oil]"))
    assert "unknown name 'Tea Tree Oil' (did you mean 'tea_tree_oil'?)" in problem


def test_load_catalog_raises_all_problems_of_all_files_with_lines(shop: Path) -> None:
    found = problems(
        shop,
        breeds="""\
species:
  dog:
    breeds:
      poodle:
        coat: {length: shrt, undercoat: dense, texture: curly, shedding: none}
      whippet: {}
      collie:
        coat:
          - {share: 0.5, length: short, undercoat: dense, texture: harsh, shedding: high}
          - {share: 0.4, length: long, undercoat: dense, texture: harsh, shedding: high}
""",
        ingredients="ingredients:\n  oat: {aliasses: [oats]}\n",
        products=SHELF.replace("price: 5", "price: cheap"),
    )
    assert found == [
        "/breeds.yaml:5: species.dog.breeds.poodle.coat[0].length: expected one of hairless, short, medium, long, "
        "got 'shrt' (did you mean 'short'?)",
        "/breeds.yaml:6: species.dog.breeds.whippet.coat: is missing",
        "/breeds.yaml:8: species.dog.breeds.collie.coat: expected shares that sum to 1, got 0.9",
        "/ingredients.yaml:2: ingredients.oat.aliasses: unknown key (did you mean 'aliases'?); "
        "known: aliases, not_for, sources",
        "/products.yaml:9: products[0].price: expected a number, got 'cheap'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[cat, dog]", "[cta, dog]", "suits.species: unknown name 'cta' (did you mean 'cat'?)"),
        ("glycerin", "glycerine", "contains: unknown name 'glycerine' (did you mean 'glycerin'?)"),
        ("price: 5", "price: 5\n    contraindicated_species: [cats]", "unknown name 'cats' (did you mean 'cat'?)"),
        ("price: 5", "price: 5\n    avoid: {skin: [oilly]}", "avoid.skin: unknown name 'oilly' (did you mean 'oily'?)"),
        ("price: 5", "price: -1", "products[0].price: expected at least 0, got -1"),
        ("price: 5", "price: true", "products[0].price: expected a number, got True"),
        ("name: Plain", "name: ''", "products[0].name: expected text, got ''"),
        ("claim: cleans", "claim: ''", "products[0].claim: expected text, got ''"),
        ("claim: cleans", "claim: cleans.", "products[0].claim: expected no full stop at its end"),
        ("[glycerin]", "[]", "products[0].contains: expected a length of at least 1"),
        ("    contains: [glycerin]\n", "", "products[0].contains: is missing"),
        ("price: 5", "price: 5\n    price: 6", "price: given twice"),
        ("price: 5", "price: [", "not valid YAML"),
        ("[glycerin]", "&a [glycerin]\n    avoid: {skin: *a}", "aliases"),
        ("id: plain", "id: plain\n    weight: 3", "weight: unknown key"),
        ("{species: [cat, dog]}", "{coats: [wiry]}", "suits.species: is missing"),
        ("{species: [cat, dog]}", "{species: [dog], coats: [wirey]}", "(did you mean 'wiry'?)"),
    ],
)
def test_load_catalog_refuses_a_wrong_shelf(shop: Path, old: str, new: str, message: str) -> None:
    (found,) = problems(shop, products=SHELF.replace(old, new))
    assert found.startswith("/products.yaml:")
    assert message in found


def test_load_catalog_refuses_a_link_to_nothing_rather_than_take_the_built_in_products(shop: Path) -> None:
    (shop.parent / "plugins" / "shampoo" / "products.yaml").symlink_to("nowhere")
    with pytest.raises(CatalogError, match=r"products\.yaml: cannot be read: No such file"):
        load_catalog(shop)


def test_load_catalog_refuses_a_product_id_used_twice(shop: Path) -> None:
    twice = SHELF + SHELF[SHELF.index("  - id") :]
    assert problems(shop, products=twice) == ["/products.yaml:10: products[1].id: 'plain' is used twice"]


def test_load_catalog_refuses_empty_and_unreadable_files(shop: Path) -> None:
    assert len(problems(shop, products="", breeds="species: 3\n")) == 2
    (shop.parent / "plugins" / "shampoo" / "ingredients.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match=r"ingredients\.yaml: cannot be read"):
        load_catalog(shop)


def test_load_catalog_is_quick() -> None:
    def once() -> float:
        start = time.process_time()
        load_catalog()
        return time.process_time() - start

    assert min(once() for _ in range(10)) < 0.05  # some ten milliseconds on a quiet machine
