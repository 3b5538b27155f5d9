"""Precomputes which products the shampoo rules veto, and above which share of breeds they do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from hierpets.recommend.choose import CONTRAINDICATIONS, OTHER_SPECIES, Recommender
from hierpets.recommend.result import RuledOut
from hierpets.taxonomy import Taxonomy

__all__ = ["Vetoes", "find_vetoes"]

HALVINGS = 8  # bisection steps to find the share at which a product is vetoed, to less than half a percent


class Vetoes(NamedTuple):
    """The vetoes of rules, for R kinds of pets and P products.

    ``vetoed`` bool [R, P] says which products are vetoed for a pet that is surely of a kind. ``thresholds`` float [P]
    are the largest probabilities of such pets at which no rule vetoes the product yet. ``reasons`` [P] say why, None
    for a product that no rule vetoes by itself.
    """

    vetoed: np.ndarray
    thresholds: np.ndarray
    reasons: tuple[RuledOut | None, ...]


def find_vetoes(recommender: Recommender, tree: Taxonomy, pets: Sequence[tuple[np.ndarray, float]]) -> Vetoes:
    """Ask the rules about each kind of pet: its distribution over the leaves [L], and the probability that its breed is
    unlisted. The first L kinds are those of the leaves.

    A threshold is found by bisection over mixtures of a vetoed leaf with all leaves for which nothing is vetoed.
    """
    products = recommender.catalog.products
    reasons = [_reasons(recommender, tree, *pet) for pet in pets]
    vetoed = np.array([[_is_vetoed(name, one) for name in products] for one in reasons])
    leaves = np.eye(len(tree.leaves))

    def threshold(name: str, rows: np.ndarray) -> float:
        """The least threshold of the leaves for which the product is vetoed, ``rows`` bool [L]."""
        if not rows.any() or rows.all():
            return 0.0
        others = leaves[~rows].mean(axis=0)

        def is_allowed(leaf: np.ndarray, share: float) -> bool:
            return not _is_vetoed(name, _reasons(recommender, tree, share * leaf + (1 - share) * others))

        return min(_largest_share(partial(is_allowed, leaf)) for leaf in leaves[rows])

    by_product = {name: reason for one in reasons for name, reason in one.items()}
    return Vetoes(
        vetoed,
        np.array([threshold(name, vetoed[: len(leaves), p]) for p, name in enumerate(products)]),
        tuple(
            RuledOut(product=name, name=product.name, reason=by_product[name]) if name in by_product else None
            for name, product in products.items()
        ),
    )


def _reasons(recommender: Recommender, tree: Taxonomy, joint: np.ndarray, unlisted: float = 0.0) -> dict[str, str]:
    """Why rules veto products, or all of them (``*``), by product."""
    steps = recommender.recommend(joint, tree, "breed", unlisted=unlisted, odds=False).steps
    by_rules = [step.advice for step in steps if step.rule not in (OTHER_SPECIES, CONTRAINDICATIONS)]
    return {one.product: one.reason for advice in by_rules for one in advice if one.veto}


def _is_vetoed(product: str, reasons: Collection[str]) -> bool:
    return product in reasons or "*" in reasons


def _largest_share(holds: Callable[[float], bool]) -> float:
    """Return the largest share from 0 to 1 at which ``holds``, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
