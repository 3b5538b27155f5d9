"""The sentences of a recommendation, in plain English."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from hierpets.plugin import Case
from hierpets.recommend.catalog import COAT_TYPES, Catalog, Product
from hierpets.text import likelihood

__all__ = ["UNKNOWN_PET", "contraindication", "nothing", "reason"]

UNKNOWN_PET = "We do not know this animal well enough to recommend a shampoo; ask a groomer or a vet who can see it."

GENERAL = "It suits every coat, and no one coat is likely enough for a special one."

CERTAIN = 0.995
COMMON = 2 / 3
"""The share of the likely breeds from which a skin note is worth a word."""

ONE_COAT = 0.85
"""The share from which one coat is spoken of as the coat."""


Ranked = list[tuple[tuple[str, str | None], float]]
"""Species and breed with their probability, the most probable first."""


def reason(case: Case, catalog: Catalog, product: Product, *, because: str, missed: str, odds: bool = True) -> str:
    """Who it is, unless without ``odds``; what it wears, what the product does for that, why this one, and what it is
    not.
    """
    ranked, claim = _ranked(case), f"{product.name} {product.claim}."
    sentences = [
        _who(case, catalog, ranked) if odds else "",
        _coat(case),
        claim,
        because,
        _suitability(case, product, because, ranked[0][1]),
    ]
    tips = [catalog.skin[note].tip for note, share in case.skin.items() if share >= COMMON]
    return " ".join(sentence for sentence in (*sentences, *tips, missed) if sentence)


def nothing(case: Case) -> str:
    """Why there is no product when no rule says it."""
    species = _top_species(case)
    if not any(species in offer.species for offer in case.offers.values()):
        return f"We have no shampoo that is made for {_article(species)} yet."
    return f"None of our shampoos is a safe and good choice for this {species}."


def contraindication(
    case: Case, hazards: Mapping[str, str], known: Collection[str], *, bound: float, odds: bool = True
) -> str:
    """Why a product is excluded: what is in it, and, with ``odds``, how probable the animal at risk is."""
    at_risk = max(hazards, key=lambda species: case.species.get(species, 2.0))
    why = hazards[at_risk]
    if at_risk not in case.species:
        return f"{why}, and this model cannot rule out {_article(at_risk)}."
    p = (1 - case.novelty) * case.species[at_risk]
    if p > CERTAIN:
        return f"{why}."
    if p > bound:
        return f"{why}, and this may be {_article(at_risk)}{f' ({likelihood(p)})' if odds else ''}."
    unlisted = [species for species, share in case.species.items() if species not in known and share > bound]
    who = f"{_article(unlisted[0])}, of which we know too little" if unlisted else "an animal that we do not know"
    return f"{why}, and this may be {who}."


def _who(case: Case, catalog: Catalog, ranked: Ranked) -> str:
    (species, breed), p = ranked[0]
    if breed is not None and case.level == "species":
        return _unsure(case, catalog, ranked)
    if p >= 0.6 or breed is None:
        sure = "almost surely" if p >= 0.95 else "most likely"
        name = catalog.breed_name(species, breed) if breed else species
        others = [item for item in ranked[1:] if item[1] >= 0.1]
        perhaps = f", perhaps {_named(others, catalog)}" if others else ""
        return f"This is {sure} {_article(name)} ({likelihood(p)}){perhaps}."
    return f"This may be {_named([item for item in ranked if item[1] >= 0.1] or ranked, catalog)}."


def _unsure(case: Case, catalog: Catalog, ranked: Ranked) -> str:
    species = _top_species(case)
    p = case.species[species]
    likely = [(leaf, share) for leaf, share in ranked if leaf[0] == species and share >= 0.1]
    perhaps = f", perhaps {_named(likely, catalog)}" if likely else ""
    if p >= 0.95:
        return f"This is {_article(species)} whose breed we cannot tell{perhaps}."
    sure = "most likely" if p >= 0.6 else "perhaps"
    return f"This is {sure} {_article(species)} ({likelihood(p)}), and we cannot tell its breed{perhaps}."


def _named(ranked: Ranked, catalog: Catalog) -> str:
    """The first three leaves with their probabilities."""
    return _either([f"{_article(catalog.breed_name(s, b) if b else s)} ({likelihood(p)})" for (s, b), p in ranked[:3]])


def _coat(case: Case) -> str:
    total = sum(case.coats.values())
    shares = sorted(((share / total, coat) for coat, share in case.coats.items() if share > 0), reverse=True)
    if not shares:
        return ""
    # No more certain than the model: one coat for sure, one probably, or several.
    top, coat = shares[0]
    if top > CERTAIN:
        return f"It has {COAT_TYPES[coat]}."
    if top >= ONE_COAT:
        return f"It has {COAT_TYPES[coat]} ({likelihood(top)})."
    return f"It may have {_either([f'{COAT_TYPES[c]} ({likelihood(p)})' for p, c in shares[:3] if p >= 0.1])}."


def _suitability(case: Case, product: Product, because: str, top: float) -> str:
    """How many of the likely breeds it suits, where that is more than the breed is sure, or less than it should be."""
    suits, species = case.offers[product.id].suits, _top_species(case)
    pet = species if case.species[species] >= 0.95 else "pet"
    if not (product.suits.coats or product.suits.skin):
        several = max(case.coats.values()) < ONE_COAT * sum(case.coats.values())
        alone = f"It suits every breed that this {pet} may be, which no special one does well enough."
        return "" if because else GENERAL if several else alone
    if case.level == "breed" and suits - top >= 0.05:
        what = "nearly every breed" if suits > CERTAIN else f"{likelihood(suits)} of the breeds"
        return f"It suits {what} that this {pet} may be, so the exact breed hardly matters."
    return "" if suits >= 0.95 else f"It suits {likelihood(suits)} of what this {pet} may be."


def _ranked(case: Case) -> Ranked:
    return sorted(case.breeds.items(), key=itemgetter(1), reverse=True)


def _top_species(case: Case) -> str:
    return max(case.species, key=lambda species: case.species[species])


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"
