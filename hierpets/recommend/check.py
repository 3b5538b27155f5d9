"""Finds what is wrong with the care files as a whole: a breed with no coat, a product for nobody, a dead rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hierpets.errors import PluginError, did_you_mean
from hierpets.recommend.catalog import Catalog, Product, spoken
from hierpets.recommend.choose import Level, Recommendation, Recommender, Rule
from hierpets.recommend.loading import CareFiles
from hierpets.recommend.suitability import Fit
from hierpets.registry.loading import Registry, bundled_registry
from hierpets.taxonomy import Taxonomy
from hierpets.validation.document import parse_yaml

__all__ = ["Finding", "check_catalog", "listed_taxonomy"]


@dataclass(frozen=True)
class Finding:
    """One thing to mend (an error) or to think about (a warning), with ``file:line`` in front."""

    message: str
    is_error: bool = True


def check_catalog(files: CareFiles, registry: Registry, taxonomy: Taxonomy | None = None) -> list[Finding]:
    """Check the files against each other, against the registry's rules and, if given, the taxonomy of a model."""
    care = files.care
    everyone = listed_taxonomy(care)
    found = [*_products(files, everyone), *(_breeds(files, taxonomy) if taxonomy else ())]
    rules, awake = registry.of_kind("shampoo_rule"), set[str]()
    builtin = registry.path.resolve() == bundled_registry().resolve()
    for rule in rules:
        try:
            awake |= {step.rule for one in _probe(everyone, care, [rule]) for step in one.steps if step.advice}
        except PluginError as error:
            found.append(Finding(f"{_at_rule(registry, rule)}: {error}"))
            return found
    for rule in rules:
        if rule.name not in awake:
            text = f"rule {rule.name!r} never fires: it says nothing of any pet"
            # A shelf of one's own may leave a built-in rule with nothing to say.
            found.append(Finding(f"{_at_rule(registry, rule)}: {text}", is_error=rule.source == "user" or builtin))
    chosen = {one.product.id for one in _probe(everyone, care, rules) if one.product}
    for product in care.products.values():
        if product.id not in chosen and not product.on_request:
            text = f"{product.id!r} is never the best choice for a pet whose breed is sure, nor for one of unsure breed"
            found.append(Finding(f"{files.at_product(product)}: {text}", is_error=False))
    return found


def listed_taxonomy(care: Catalog) -> Taxonomy:
    """Every species and breed of the care files, in their order."""
    return Taxonomy(tree={name: tuple(species.breeds) for name, species in care.species.items()})


def _probe(taxonomy: Taxonomy, care: Catalog, rules: Sequence[Rule]) -> Iterator[Recommendation]:
    """Every breed for sure, every species with its breed unsure, and a pet of which nothing is known."""
    recommender = Recommender(care, rules)
    cases: list[tuple[np.ndarray, Level]] = [(row, "breed") for row in np.eye(len(taxonomy.leaves))]
    for index in range(len(taxonomy.species)):
        inside = taxonomy.leaf_species == index
        cases.append((inside / inside.sum(), "species"))
    cases.append((np.full(len(taxonomy.leaves), 1 / len(taxonomy.leaves)), "unknown"))
    return (recommender.recommend(joint, taxonomy, level) for joint, level in cases)


def _products(files: CareFiles, everyone: Taxonomy) -> Iterator[Finding]:
    care = files.care
    reach = Fit.of(care, everyone).suits.max(axis=0)
    for product, suits in zip(care.products.values(), reach, strict=True):
        if suits == 0:
            where = files.at_product(product, "suits")
            yield Finding(f"{where}: {product.id!r} suits no breed and no species' mix of coats")
        for species in sorted(set(care.hazards[product.id]) & set(product.suits.species)):
            why = care.hazards[product.id][species]
            where = files.at_product(product, "suits", "species")
            yield Finding(f"{where}: {product.id!r} is made for a {species}, but {why}")
        yield from _undeclared(files, product)


def _undeclared(files: CareFiles, product: Product) -> Iterator[Finding]:
    """Hazards of an ingredient that the product does not own up to. It is never recommended to that species anyway."""
    for index, name in enumerate(product.contains):
        for species, why in files.care.ingredient(name).not_for.items():
            if species not in product.contraindicated_species:
                where = files.at_product(product, "contains", index)
                said = f"{product.id!r} contains {spoken(name)}, which {why}"
                yield Finding(f"{where}: {said}: add {species!r} to contraindicated_species")


def _breeds(files: CareFiles, taxonomy: Taxonomy) -> Iterator[Finding]:
    file = files.breeds[-1].path
    for species, breeds in taxonomy.tree.items():
        known = files.care.species.get(species)
        if known is None:
            hint = did_you_mean(species, files.care.species)
            yield Finding(f"{file}: species {species!r} is not listed{hint}: no product is made for it")
            continue
        for breed in breeds:
            if breed not in known.breeds:
                text = f"breed {species}/{breed} has no coat{did_you_mean(breed, known.breeds)}"
                yield Finding(f"{file}: {text}: it takes the mix of its species")
        if not known.coat and not all(breed in known.breeds for breed in breeds or ("",)):
            yield Finding(f"{file}: species {species!r} has no mix of coats for a breed that is not listed")


def _at_rule(registry: Registry, rule: Rule) -> str:
    """``registry.yaml:LINE`` of a rule, in the user's registry or in the built-in one."""
    for path in dict.fromkeys((registry.path, bundled_registry())):
        document = parse_yaml(path.read_text(encoding="utf-8"))
        entries: Iterable[dict[str, str]] = (document.value or {}).get("plugins", ())
        for index, entry in enumerate(entries):
            if entry.get("name") == rule.name and entry.get("kind") == "shampoo_rule":
                return f"{path}:{document.line(('plugins', index, 'name'))}"
    return str(registry.path)
