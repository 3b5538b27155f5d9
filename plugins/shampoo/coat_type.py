"""Prefer a shampoo made for the pet's coat to one for every coat."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.plugin import Advice, Case, say


def coat_type(case: Case, *, weight: float = 0.25) -> Iterator[Advice]:
    """Add up to ``weight`` to a product made for certain coats, in proportion to the mass of the breeds that it suits.

    A special shampoo then beats a general one when it suits more than about six in seven of the likely breeds.
    """
    for product, offer in case.offers.items():
        if offer.coats and offer.suits > 0:
            yield Advice(product, say("It is made for this kind of coat."), score=weight * offer.suits)
