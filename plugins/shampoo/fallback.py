"""What to recommend if only the species, or not even the species, is known."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.plugin import Advice, Case, say

SENTENCE = (
    "We would rather not guess: we cannot tell for sure which animal this is, and a wrong shampoo can do harm. "
    "Try a photo that shows the whole animal in good light, or ask a groomer or a vet."
)


def safe_fallback(case: Case, *, weight: float = 0.25, sentence: str = SENTENCE) -> Iterator[Advice]:
    """For an unknown animal, veto everything with a kind ``sentence``; for an uncertain breed, prefer what suits every
    coat: add up to ``weight`` to a product for all coats and skins, in proportion to the probability that the breed is
    not a listed one.
    """
    if case.level == "unknown":
        yield Advice("*", say(sentence), veto=True)
    elif case.level == "species":
        for product, offer in case.offers.items():
            if not (offer.coats or offer.skin or offer.on_request) and offer.suits > 0:
                reason = say("Whatever the breed, a shampoo for every coat is the safe choice.")
                yield Advice(product, reason, score=weight * case.unlisted * offer.suits)
