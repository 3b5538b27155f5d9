"""A recommendation for every answer that a page can give: its rules are plugins, which run in Python alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.export.web.schema import PageAdvice, PageRecommendation, ProductChoice
from hierpets.hierarchy.decision import Level
from hierpets.recommend.catalog import COAT_TYPES
from hierpets.recommend.choose import Recommender
from hierpets.recommend.suitability import SuitabilityMatrix

__all__ = ["advise"]

LEAST = 1e-6  # a doubt where the bound allows none


def advise(recommender: Recommender, manifest: Manifest) -> PageAdvice:
    """What the rules say of each leaf for sure, of each species with its breed unsure, and of an unknown pet.

    :raises PluginError: a rule fails.
    """
    tree, book = manifest.taxonomy, _Book()

    def ask(joint: np.ndarray, level: Level) -> int:
        return book.place(PageRecommendation.of(recommender.recommend(joint, tree, level, odds=False)))

    leaves = [_choice(row, manifest, recommender.bound, lambda p: ask(p, "breed")) for row in np.eye(len(tree.leaves))]
    of_species = (np.eye(len(tree.species))[s, tree.leaf_species] for s in range(len(tree.species)))
    species = [_choice(row / row.sum(), manifest, recommender.bound, lambda p: ask(p, "species")) for row in of_species]
    matrix = SuitabilityMatrix.of(recommender.catalog, tree)
    return PageAdvice(
        bound=recommender.bound,
        leaves=tuple(leaves),
        species=tuple(species),
        unknown=ask(np.full(len(tree.leaves), 1 / len(tree.leaves)), "unknown"),
        recommendations=tuple(book.recommendations),
        judged=tuple(bool(manifest.policy.of("unlisted").get(name)) for name in tree.species),
        products=tuple(recommender.catalog.products),
        suits=_rows(matrix.suits),
        coat_types=tuple(COAT_TYPES),
        coats=_rows(matrix.coats),
    )


class _Book:
    """Recommendations, each once."""

    def __init__(self) -> None:
        self.recommendations: list[PageRecommendation] = []

    def place(self, recommendation: PageRecommendation) -> int:
        if recommendation not in self.recommendations:
            self.recommendations.append(recommendation)
        return self.recommendations.index(recommendation)


def _choice(joint: np.ndarray, manifest: Manifest, bound: float, ask: Callable[[np.ndarray], int]) -> ProductChoice:
    return ProductChoice(sure=ask(joint), unsure=ask(_doubted(joint, manifest, bound)))


def _doubted(joint: np.ndarray, manifest: Manifest, bound: float) -> np.ndarray:
    """The same pet, but for each other species a probability that is just too large for what would hurt it."""
    tree = manifest.taxonomy
    others = np.setdiff1d(np.arange(len(tree.species)), tree.leaf_species[joint > 0])
    leaves_of_species = np.bincount(tree.leaf_species)[tree.leaf_species]
    doubt = 2 * max(bound, LEAST) * np.isin(tree.leaf_species, others) / leaves_of_species
    return (1 - doubt.sum()) * joint + doubt


def _rows(table: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table.tolist())
