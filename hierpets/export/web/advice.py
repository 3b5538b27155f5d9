"""Precomputes recommendations for every answer that a page can give: shampoo rules are plugins, which run only in
Python.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.export.web.schema import PageAdvice, PageRecommendation, ProductChoice, ScoresByLevel
from hierpets.export.web.vetoes import find_vetoes
from hierpets.hierarchy.decision import Level
from hierpets.hierarchy.probabilities import any_breed, species_probabilities
from hierpets.recommend.catalog import COAT_TYPES, Catalog
from hierpets.recommend.choose import EXPECTED_VALUE, Recommender
from hierpets.recommend.sentences import no_product
from hierpets.recommend.suitability import SuitabilityMatrix
from hierpets.taxonomy import Taxonomy

__all__ = ["advise"]

MIN_DOUBT = 1e-6  # the smallest doubt, if the bound allows none
DIGITS = 6  # of a score


def advise(recommender: Recommender, manifest: Manifest) -> PageAdvice:
    """Ask the rules about each leaf, each species with an uncertain breed, and an unknown pet, and collect the
    recommendations with the tables of products by which a page chooses among them.

    :raises PluginError: a rule fails.
    """
    tree, collected = manifest.taxonomy, _Recommendations()
    matrix, products = SuitabilityMatrix.of(recommender.catalog, tree), [*recommender.catalog.products]

    def ask(
        joint: np.ndarray, level: Level, bystanders: np.ndarray | None = None, unlisted: float | None = None
    ) -> int:
        found = recommender.recommend(joint, tree, level, unlisted=unlisted, bystanders=bystanders, odds=False)
        harms = matrix.forbidden[:, products.index(found.product.id)] if found.product else ()
        return collected.add(PageRecommendation.of(found, np.flatnonzero(harms).tolist()))

    choose = partial(_choice, manifest=manifest, bound=recommender.bound)
    leaves = [choose(row, ask=partial(ask, level="breed")) for row in np.eye(len(tree.leaves))]
    chosen = np.array([[str(collected.items[i].product) for i in _indices(choice)] for choice in leaves])  # [L, 3]

    def of_species(s: int, unsure: np.ndarray) -> tuple[ProductChoice, ...]:
        """The choices for an uncertain breed: the best for the species, those for each group of its breeds that get the
        same products, and no product.
        """
        inside = tree.leaf_species == s
        own = choose(unsure, ask=partial(ask, level="species"))
        groups = [inside & (chosen == products).all(axis=1) for products in np.unique(chosen[inside], axis=0)]
        further = [choose(one / one.sum(), ask=partial(ask, level="species", unlisted=0.0)) for one in groups]
        none = collected.add(_no_product(tree.species[s], recommender.catalog))
        return tuple(dict.fromkeys([own, *further, ProductChoice(sure=none, unsure=none, beside=none)]))

    vetoes = find_vetoes(recommender, tree, _pets(tree))
    return PageAdvice(
        bound=recommender.bound,
        leaves=tuple(leaves),
        species=tuple(of_species(s, row) for s, row in enumerate(any_breed(tree))),
        unknown=ask(np.full(len(tree.leaves), 1 / len(tree.leaves)), "unknown"),
        recommendations=tuple(collected.items),
        knows_listed=tuple(bool(manifest.policy.of("unlisted").get(name)) for name in tree.species),
        products=tuple(products),
        suits=_rows(matrix.suits),
        coat_types=tuple(COAT_TYPES),
        coats=_rows(matrix.coats),
        scores=ScoresByLevel(**{level: _rows(_scores(recommender, tree, level)) for level in ("breed", "species")}),
        vetoed=tuple(tuple(row) for row in vetoes.vetoed.tolist()),
        veto_threshold=tuple(vetoes.thresholds.tolist()),
        vetoes=vetoes.reasons,
    )


class _Recommendations:
    """A list of recommendations without duplicates."""

    def __init__(self) -> None:
        self.items: list[PageRecommendation] = []

    def add(self, recommendation: PageRecommendation) -> int:
        """Add a recommendation unless it is there, and return its index."""
        if recommendation not in self.items:
            self.items.append(recommendation)
        return self.items.index(recommendation)


def _no_product(species: str, catalog: Catalog) -> PageRecommendation:
    """The recommendation of no product, for a pet of a known species that no product suits."""
    why = (no_product(species, catalog),)
    return PageRecommendation(
        product=None, name=None, sentences=why, rule=EXPECTED_VALUE, price=None, ruled_out=(), harms=()
    )


def _pets(tree: Taxonomy) -> list[tuple[np.ndarray, float]]:
    """The rows of the tables: a pet of each leaf and of an unlisted breed of each species, as its distribution over
    leaves, float [L], and the probability that its breed is unlisted.
    """
    return [(row, 0.0) for row in np.eye(len(tree.leaves))] + [(row, 1.0) for row in any_breed(tree)]


def _scores(recommender: Recommender, tree: Taxonomy, level: Level) -> np.ndarray:
    """The total score of each product, from expected value and rules, for each kind of pet; float [L + S, P]."""

    def of_pet(joint: np.ndarray, unlisted: float) -> list[float]:
        steps = recommender.recommend(joint, tree, level, unlisted=unlisted, odds=False).steps
        advice = [one for step in steps for one in step.advice]
        return [sum(one.score for one in advice if one.product in (p, "*")) for p in recommender.catalog.products]

    return np.array([of_pet(*pet) for pet in _pets(tree)]).round(DIGITS)


def _choice(joint: np.ndarray, manifest: Manifest, bound: float, ask: Callable[..., int]) -> ProductChoice:
    bystanders = np.where(species_probabilities(joint, manifest.taxonomy) == 0, 0.5, 0.0)  # any other species
    beside = ask(joint, bystanders=bystanders)
    return ProductChoice(sure=ask(joint), unsure=ask(_with_doubt(joint, manifest, bound)), beside=beside)


def _indices(choice: ProductChoice) -> tuple[int, int, int]:
    return choice.sure, choice.unsure, choice.beside


def _with_doubt(joint: np.ndarray, manifest: Manifest, bound: float) -> np.ndarray:
    """Give every other species a probability just large enough to rule out products that harm it."""
    tree = manifest.taxonomy
    others = np.setdiff1d(np.arange(len(tree.species)), tree.leaf_species[joint > 0])
    leaves_of_species = np.bincount(tree.leaf_species)[tree.leaf_species]
    doubt = 2 * max(bound, MIN_DOUBT) * np.isin(tree.leaf_species, others) / leaves_of_species
    return (1 - doubt.sum()) * joint + doubt


def _rows(table: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table.tolist())
