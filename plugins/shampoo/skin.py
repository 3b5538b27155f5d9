"""Rules for what a breed's skin is prone to. They judge by breed, not by this pet: a photo does not show a rash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hierpets.plugin import Advice, Case, say, spoken

IRRITANTS = ("fragrance", "essential_oils", "d_limonene", "tea_tree_oil")

NEEDS = {
    "oily": (0.45, "It is made for a skin that tends to be oily."),
    "folds": (0.40, "It is made for a skin with folds."),
    "hot_spots": (0.30, "It is made for a thick coat that is slow to dry."),
}


def sensitive_skin(
    case: Case, *, weight: float = 0.2, veto_above: float = 0.2, irritants: tuple[str, ...] = IRRITANTS
) -> Iterator[Advice]:
    """If breeds prone to skin allergy are likely, prefer products made for them and veto products that may irritate.

    Add up to ``weight`` to a product made for sensitive skin. If those breeds have a probability mass above
    ``veto_above``, veto every product that contains one of ``irritants``, each a name or alias of an ingredient. The
    weight is below that of the coat: that a breed is prone to allergy does not mean that this pet has one.

    :raises ValueError: one of ``irritants`` is not an ingredient of the catalog.
    """
    unknown = [name for name in irritants if name not in case.ingredients]
    if unknown:
        raise ValueError(f"expected irritants that ingredients.yaml lists, got {', '.join(unknown)}")
    irritating = [case.ingredients[name] for name in irritants]
    prone = case.skin.get("sensitive", 0.0)
    for product, offer in case.offers.items():
        found = [name for name in irritating if name in offer.contains]
        if found and prone > veto_above:
            what = say(spoken(found[0]))
            reason = say("it contains {ingredient}, which may irritate a skin prone to allergy.", ingredient=what)
            yield Advice(product, reason, veto=True)
        elif "sensitive" in offer.skin and offer.suits > 0:
            yield Advice(product, say("It is mild enough for a skin prone to allergy."), score=weight * offer.suits)


def skin_needs(case: Case, *, weights: Mapping[str, float] | None = None) -> Iterator[Advice]:
    """Prefer products made for the skin of the likely breeds; ``weights`` overrides the weights of skin notes.

    :raises ValueError: ``weights`` names a skin note that is not in ``NEEDS``.
    """
    weights = weights or {}
    unknown = [note for note in weights if note not in NEEDS]
    if unknown:
        raise ValueError(f"expected weights of {', '.join(NEEDS)}, got {', '.join(unknown)}")
    for product, offer in case.offers.items():
        for note, (weight, reason) in NEEDS.items():
            if note in offer.skin and offer.suits > 0:
                yield Advice(product, say(reason), score=weights.get(note, weight) * offer.suits)
