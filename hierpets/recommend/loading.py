"""Find, read and merge breeds.yaml, ingredients.yaml and products.yaml; all problems are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from hierpets.errors import CatalogError, did_you_mean
from hierpets.messages.breeds import plain
from hierpets.recommend.catalog import (
    BreedsFile,
    Catalog,
    Ingredient,
    IngredientsFile,
    Product,
    ProductsFile,
    SpeciesProfile,
)
from hierpets.registry.loading import bundled_registry, find_registry
from hierpets.validation.yaml_file import YamlFile, YamlProblems, read_yaml

__all__ = ["FOLDER", "CatalogFiles", "catalog_paths", "letters", "load_catalog", "read_catalog_files"]

FOLDER = Path("plugins") / "shampoo"
NAMES = ("breeds.yaml", "ingredients.yaml", "products.yaml")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class CatalogFiles:
    """The catalog and the files it came from. Where two files define the same entry, the later one takes precedence."""

    catalog: Catalog
    breeds: tuple[YamlFile[BreedsFile], ...]
    ingredients: tuple[YamlFile[IngredientsFile], ...]
    products: YamlFile[ProductsFile]

    def at_product(self, product: Product, *location: str | int) -> str:
        """``file:line: location`` of a product, or of one of its keys."""
        return self.products.at("products", self.products.content.products.index(product), *location)


def load_catalog(registry: str | Path | None = None) -> Catalog:
    """The catalog that goes with a registry: see :func:`read_catalog_files`."""
    return read_catalog_files(registry).catalog


def read_catalog_files(registry: str | Path | None = None) -> CatalogFiles:
    """Read the files of the catalog in ``plugins/shampoo/`` beside the registry that ``find_registry`` finds.

    A user's breeds.yaml and ingredients.yaml add to the built-in ones (an entry of the same name is replaced, save
    that no species can be taken off ``not_for``); a user's products.yaml takes the place of the built-in one. Where one
    is missing, the built-in one is used.

    :raises CatalogError: with every problem at once.
    """
    paths = catalog_paths(registry)
    problems: list[str] = []
    breeds = _read(paths, "breeds.yaml", BreedsFile, problems)
    ingredients = _read(paths, "ingredients.yaml", IngredientsFile, problems)
    products = _read(paths, "products.yaml", ProductsFile, problems)
    if not problems:
        files = CatalogFiles(_merge(breeds, ingredients, products[-1].content), breeds, ingredients, products[-1])
        problems = list(_cross_file_problems(files))
    if problems:
        raise CatalogError(problems)
    return files


def catalog_paths(registry: str | Path | None = None) -> list[Path]:
    """The files of the catalog that are there, the built-in ones first."""
    builtin, own = bundled_registry().parent / FOLDER, find_registry(registry).parent / FOLDER
    folders = [builtin] if own.resolve() == builtin.resolve() else [builtin, own]
    paths = [folder / name for folder in folders for name in NAMES]
    return [path for path in paths if path.exists() or path.is_symlink()]  # a dangling link is reported, not ignored


def _read(paths: Iterable[Path], name: str, model: type[M], problems: list[str]) -> tuple[YamlFile[M], ...]:
    found = []
    for path in paths:
        if path.name == name:
            try:
                found.append(read_yaml(path, model))
            except YamlProblems as error:
                problems += error.lines
    return tuple(found)


def _merge(
    breeds: Iterable[YamlFile[BreedsFile]], ingredients: Iterable[YamlFile[IngredientsFile]], shop: ProductsFile
) -> Catalog:
    species: dict[str, SpeciesProfile] = {}
    for name, own in (item for file in breeds for item in file.content.species.items()):
        species[name] = _override_species(species[name], own) if name in species else own
    table: dict[str, Ingredient] = {}
    for name, one in (item for file in ingredients for item in file.content.ingredients.items()):
        table[name] = _extend_ingredient(table[name], one) if name in table else one
    return Catalog(
        species=species,
        skin={name: note for file in breeds for name, note in file.content.skin.items()},
        ingredients=table,
        products={product.id: product for product in shop.products},
        brand=shop.brand,
        currency=shop.currency,
    )


def _override_species(known: SpeciesProfile, own: SpeciesProfile) -> SpeciesProfile:
    given = {key: getattr(own, key) for key in own.model_fields_set}
    return known.model_copy(update={**given, "breeds": {**known.breeds, **own.breeds}})


def _extend_ingredient(known: Ingredient, own: Ingredient) -> Ingredient:
    return Ingredient(
        aliases=tuple(dict.fromkeys((*known.aliases, *own.aliases))),
        not_for={**own.not_for, **known.not_for},
        sources=tuple(dict.fromkeys((*known.sources, *own.sources))),
    )


def _cross_file_problems(files: CatalogFiles) -> Iterator[str]:
    """Problems across files: names that nothing defines, and names that mean two things."""
    catalog = files.catalog
    for file in files.breeds:
        for name, one in file.content.species.items():
            yield from _unknown(file, ("species", name, "skin"), one.skin, catalog.skin)
            for breed, own in one.breeds.items():
                yield from _unknown(file, ("species", name, "breeds", breed, "skin"), own.skin, catalog.skin)
    for table in files.ingredients:
        for name, ingredient in table.content.ingredients.items():
            here = ("ingredients", name)
            yield from _unknown(table, (*here, "not_for"), ingredient.not_for, catalog.species)
            yield from (f"{table.at(*here)}: {clash}" for clash in _clashes(name, ingredient, catalog.ingredients))
    seen: set[str] = set()
    for index, product in enumerate(files.products.content.products):
        if product.id in seen:
            yield f"{files.products.at('products', index, 'id')}: {product.id!r} is used twice"
        seen.add(product.id)
        yield from _unknown_in_product(files.products, index, product, catalog)


def _clashes(name: str, own: Ingredient, listed: Mapping[str, Ingredient]) -> Iterator[str]:
    """Names and aliases of an ingredient that already belong to one listed before, in any spelling.

    A user's harmless "TeaTree Oil" or "melaleuca_oil", or water with that alias, would hide that it is tea_tree_oil.
    """
    for other in takewhile(lambda other: other != name, listed):
        aliases = {*map(letters, listed[other].aliases)}
        if letters(name) == letters(other):
            yield f"is another spelling of {other!r}; use that name"
        elif letters(name) in aliases:
            yield f"is an alias of {other!r}; use that name"
        for alias in own.aliases:
            if letters(alias) in {letters(other), *aliases}:
                yield f"its alias {alias!r} means {other!r} already"


def letters(name: str) -> str:
    """A name without case, accents and separators: ``"Tea-Tree oil"`` -> ``"teatreeoil"``."""
    return plain(name).replace(" ", "")


def _unknown_in_product(file: YamlFile[ProductsFile], index: int, product: Product, catalog: Catalog) -> Iterator[str]:
    here = ("products", index)
    for key, traits in (("suits", product.suits), ("avoid", product.avoid)):
        yield from _unknown(file, (*here, key, "species"), traits.species, catalog.species)
        yield from _unknown(file, (*here, key, "skin"), traits.skin, catalog.skin)
    yield from _unknown(file, (*here, "contraindicated_species"), product.contraindicated_species, catalog.species)
    yield from _unknown(file, (*here, "contains"), product.contains, catalog.ingredient_names)


def _unknown(
    file: YamlFile[Any], location: tuple[str | int, ...], names: Iterable[str], known: Mapping[str, Any]
) -> Iterator[str]:
    for name in names:
        if name not in known:
            spelled = [other for other in known if letters(other) == letters(name)]
            hint = did_you_mean(spelled[0] if spelled else name, known) or f"; known: {', '.join(known)}"
            yield f"{file.at(*location)}: unknown name {name!r}{hint}"
