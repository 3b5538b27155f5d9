"""Find problems of a catalog as a whole: breeds without a coat, products for nobody, rules that never fire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from hierpets.errors import PluginError, did_you_mean
from hierpets.hierarchy.decision import Level
from hierpets.hierarchy.probabilities import any_breed
from hierpets.messages.breeds import plain
from hierpets.messages.catalogue import spoken
from hierpets.recommend.catalog import Catalog, Product
from hierpets.recommend.choose import Recommendation, Recommender, Rule
from hierpets.recommend.loading import FOLDER, CatalogFiles, letters
from hierpets.recommend.suitability import SuitabilityMatrix
from hierpets.registry.loading import Registry, bundled_registry
from hierpets.registry.plugin import BUILTIN, USER, Plugin
from hierpets.taxonomy import Taxonomy
from hierpets.validation.document import parse_yaml
from hierpets.validation.yaml_file import YamlFile

__all__ = ["CatalogProblem", "check_catalog", "listed_taxonomy"]

ALIKE = 0.85  # similarity of the letters of two names from which on one may be a misspelling of the other
MADE_OF = frozenset(("acid", "bark", "extract", "flower", "leaf", "oil", "peel", "seed", "water"))
"""Words of a name that say what was made from a plant, not from which plant."""


@dataclass(frozen=True)
class CatalogProblem:
    """An error to fix, or a warning to consider; the message begins with ``file:line``."""

    message: str
    is_error: bool = True


def check_catalog(files: CatalogFiles, registry: Registry, taxonomy: Taxonomy | None = None) -> list[CatalogProblem]:
    """Check the files against each other, against the registry's rules and, if given, the taxonomy of a model."""
    catalog = files.catalog
    everyone = listed_taxonomy(catalog)
    found = [*_unread(files, registry), *_lookalikes(files), *_products(files, everyone)]
    if taxonomy:
        found += [*_breeds(files, taxonomy), *_excluded(files, taxonomy)]
    rules = registry.of_kind("shampoo_rule")
    broken = [*_broken_rules(rules, everyone, catalog)]
    if broken:
        return [*found, *broken]
    return [*found, *_silent_rules(registry, everyone, catalog), *_unchosen(files, rules, everyone)]


def listed_taxonomy(catalog: Catalog) -> Taxonomy:
    """Every species and breed of the catalog, in its order."""
    return Taxonomy(tree={name: tuple(species.breeds) for name, species in catalog.species.items()})


def _probe(taxonomy: Taxonomy, catalog: Catalog, rules: Sequence[Rule]) -> Iterator[Recommendation]:
    """Recommendations for each breed with certainty, each species of unknown breed, and a pet of unknown species."""
    recommender = Recommender(catalog, rules)
    cases: list[tuple[np.ndarray, Level]] = [(row, "breed") for row in np.eye(len(taxonomy.leaves))]
    cases += [(row, "species") for row in any_breed(taxonomy)]
    cases.append((np.full(len(taxonomy.leaves), 1 / len(taxonomy.leaves)), "unknown"))
    return (recommender.recommend(joint, taxonomy, level) for joint, level in cases)


def _unread(files: CatalogFiles, registry: Registry) -> Iterator[CatalogProblem]:
    """Files that look like part of the catalog but are not read: such as product.yaml in its folder, or products.yaml
    beside the registry.
    """
    read: tuple[YamlFile[Any], ...] = (*files.breeds, *files.ingredients, files.products)
    names = sorted({file.path.name for file in read})
    beside = registry.path.parent
    for path in sorted((beside / FOLDER).glob("*.y*ml")):
        if path.name not in names:
            yield CatalogProblem(f"{path}: is not read; expected one of {', '.join(names)}", is_error=False)
    for path in (beside / name for name in names):
        if path.exists():
            yield CatalogProblem(f"{path}: is not read; put it into {beside / FOLDER}", is_error=False)


def _lookalikes(files: CatalogFiles) -> Iterator[CatalogProblem]:
    """Ingredients that are not said to harm a species, but whose name or alias resembles one that does."""
    names = files.catalog.ingredient_names
    for table in files.ingredients:
        for name in table.content.ingredients:
            own = files.catalog.ingredients[name]
            others = [other for other, meant in names.items() if meant != name]
            for species, (other, why) in _hazards_of_similar((name, *own.aliases), others, files.catalog).items():
                if species not in own.not_for:
                    text = f"looks like {other!r}, which {why}; use that name, or add {species!r} to not_for"
                    yield CatalogProblem(f"{table.at('ingredients', name)}: {text}", is_error=False)


def _hazards_of_similar(names: Sequence[str], others: Sequence[str], catalog: Catalog) -> dict[str, tuple[str, str]]:
    """Map a species to the name most similar to one of ``names`` that harms it, and how that harms it."""
    similarity = {other: max(_similarity(name, other) for name in names) for other in others}
    alike = sorted((other for other in others if similarity[other] >= ALIKE), key=lambda other: similarity[other])
    return {species: (other, why) for other in alike for species, why in catalog.ingredient(other).not_for.items()}


def _similarity(name: str, other: str) -> float:
    """Similarity of two names, from 0 to 1.

    It is 1 if ``name`` holds all words of ``other``, apart from those of :data:`MADE_OF`: "permethrin 0.5%" is
    permethrin, and "tea tree extract" is made of the same plant as tea tree oil.
    """
    source = set(plain(other).split()) - MADE_OF
    if source and source <= set(plain(name).split()):
        return 1.0
    return SequenceMatcher(None, letters(name), letters(other)).ratio()


def _products(files: CatalogFiles, everyone: Taxonomy) -> Iterator[CatalogProblem]:
    catalog = files.catalog
    reach = SuitabilityMatrix.of(catalog, everyone).suits.max(axis=0)
    for product, suits in zip(catalog.products.values(), reach, strict=True):
        if suits == 0:
            where = files.at_product(product, "suits")
            yield CatalogProblem(f"{where}: {product.id!r} suits no breed and no coat mix of a species")
        for species in sorted(set(catalog.hazards[product.id]) & set(product.suits.species)):
            why = catalog.hazards[product.id][species]
            where = files.at_product(product, "suits", "species")
            yield CatalogProblem(f"{where}: {product.id!r} is made for the species {species}, but {why}")
        yield from _undeclared(files, product)


def _broken_rules(rules: Sequence[Plugin], everyone: Taxonomy, catalog: Catalog) -> Iterator[CatalogProblem]:
    for rule in rules:
        try:
            list(_probe(everyone, catalog, [rule]))
        except PluginError as error:
            yield CatalogProblem(f"{_at_rule(rule)}: {error}")


def _silent_rules(registry: Registry, everyone: Taxonomy, catalog: Catalog) -> Iterator[CatalogProblem]:
    """Rules that never advise anything. It is an error for rules of the registry itself, else a warning: a catalog of
    the user's own may leave built-in rules without products.
    """
    own = BUILTIN if registry.path.resolve() == bundled_registry().resolve() else USER
    for rule in registry.of_kind("shampoo_rule"):
        steps = (step for one in _probe(everyone, catalog, [rule]) for step in one.steps if step.rule == rule.name)
        if not any(step.advice for step in steps):
            text = f"rule {rule.name!r} never fires: it advises nothing for any pet"
            yield CatalogProblem(f"{_at_rule(rule)}: {text}", is_error=rule.source == own)


def _unchosen(files: CatalogFiles, rules: Sequence[Plugin], everyone: Taxonomy) -> Iterator[CatalogProblem]:
    chosen = {one.product.id for one in _probe(everyone, files.catalog, rules) if one.product}
    for product in files.catalog.products.values():
        if product.id not in chosen and not product.on_request:
            text = f"{product.id!r} is never the best choice, whether the breed is certain or not"
            yield CatalogProblem(f"{files.at_product(product)}: {text}", is_error=False)


def _undeclared(files: CatalogFiles, product: Product) -> Iterator[CatalogProblem]:
    """Hazards of ingredients that a product does not declare. It is never recommended for these species anyway."""
    for index, name in enumerate(product.contains):
        for species, why in files.catalog.ingredient(name).not_for.items():
            if species not in product.contraindicated_species:
                where = files.at_product(product, "contains", index)
                hazard = f"{product.id!r} contains {spoken(name)}, which {why}"
                yield CatalogProblem(f"{where}: {hazard}: add {species!r} to contraindicated_species")


def _breeds(files: CatalogFiles, taxonomy: Taxonomy) -> Iterator[CatalogProblem]:
    file = files.breeds[-1].path
    for species, breeds in taxonomy.tree.items():
        known = files.catalog.species.get(species)
        if known is None:
            hint = did_you_mean(species, files.catalog.species)
            yield CatalogProblem(f"{file}: species {species!r} is not listed{hint}: no product is made for it")
            continue
        unlisted = [breed for breed in breeds if files.catalog.breed_profile(species, breed) is None]
        for breed in unlisted:
            text = f"breed {species}/{breed} has no coat{did_you_mean(breed, known.breeds)}"
            yield CatalogProblem(f"{file}: {text}: it uses the coat mix of its species")
        if not known.coat and (unlisted or not breeds):
            yield CatalogProblem(f"{file}: species {species!r} has no coat mix for unlisted breeds")


def _excluded(files: CatalogFiles, taxonomy: Taxonomy) -> Iterator[CatalogProblem]:
    """Products that are never recommended with this model, because it does not know a species that they harm."""
    never = SuitabilityMatrix.of(files.catalog, taxonomy).never
    for product in (one for one, excluded in zip(files.catalog.products.values(), never, strict=True) if excluded):
        unknown = [species for species in files.catalog.hazards[product.id] if species not in taxonomy.species]
        text = f"is never recommended with this model, which cannot rule out a {' or a '.join(unknown)}"
        yield CatalogProblem(f"{files.at_product(product)}: {product.id!r} {text}", is_error=False)


def _at_rule(rule: Plugin) -> str:
    """``registry.yaml:LINE`` of a rule, in the registry that lists it."""
    document = parse_yaml(rule.registry.read_text(encoding="utf-8"))
    entries = list(document.value["plugins"])
    listed = [(entry["kind"], entry["name"]) for entry in entries]
    return f"{rule.registry}:{document.line(('plugins', listed.index((rule.kind, rule.name)), 'name'))}"
