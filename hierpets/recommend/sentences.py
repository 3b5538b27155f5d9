"""The sentences of a recommendation, in the current language."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType

from hierpets.hierarchy.decision import MaxLevel
from hierpets.messages.breeds import local_name
from hierpets.messages.catalogue import say, spoken
from hierpets.plugin import Case
from hierpets.recommend.catalog import COAT_TYPES, Catalog, Hazard, Product
from hierpets.text import likelihood

__all__ = ["contraindication", "no_product", "other_species", "reasons", "top_species", "unknown_pet"]

CERTAIN = 0.995
COMMON = 2 / 3
"""A skin note is mentioned if at least this share of the likely breeds has it."""

ONE_COAT = 0.85
"""One coat type is called the coat of the pet from this share on."""

VOWEL = re.compile("(?!eu|uk|uni)[aeiou]", re.IGNORECASE)
"""Beginning of names that take "an", unlike "European Shorthair"."""

Ranked = list[tuple[tuple[str, str | None], float]]
"""Species and breed with their probability, the most probable first."""


def unknown_pet() -> str:
    """Why no product is recommended for a pet of unknown species."""
    return say("We do not know this animal well enough to recommend a shampoo; ask a groomer or a vet who can see it.")


def other_species(species: str) -> str:
    """Why a product does not suit this species: it is made for others."""
    return say("it is not made for {pet}.", pet=_one(_species_name(species)))


def reasons(
    case: Case,
    catalog: Catalog,
    product: Product,
    *,
    because: str,
    missed: str,
    unlisted: float = 0.0,
    max_level: MaxLevel = "breed",
    odds: bool = True,
) -> tuple[str, ...]:
    """The sentences that explain why a product is recommended.

    In this order: what the pet is, at ``max_level`` at the finest; its coat; what the product does; ``because``, the
    reason of the rule that decided; how many of the likely breeds it suits; tips; which species to keep it away from;
    and ``missed``, why a better product is ruled out. Breed probabilities are reduced by the probability ``unlisted``
    that the breed is not a listed one. Without ``odds``, no sentence says what the pet is or how probable anything is.
    """
    ranked = _ranked(case, unlisted)
    sentences = [
        _who(case, catalog, ranked if max_level == "breed" else _by_species(case)) if odds else "",
        _coat(case, odds=odds),
        f"{product.name} {say(product.claim)}.",
        because,
        _suitability(case, product, because, ranked[0][1], odds=odds),
    ]
    tips = [say(catalog.skin[note].tip) for note, share in case.skin.items() if share >= COMMON]
    cautions = [_caution(species, hazard) for species, hazard in catalog.hazards[product.id].items()]
    return tuple(sentence for sentence in (*sentences, *tips, *cautions, missed) if sentence)


def _caution(species: str, hazard: Hazard) -> str:
    """A warning for animals that the photo does not show, such as another one at home."""
    return say("Keep it away from any {pet}: {why}.", pet=_species_name(species), why=str(hazard))


def no_product(species: str, catalog: Catalog) -> str:
    """Why there is no product for a pet of this species, if no rule gives a reason."""
    if not any(species in product.suits.species for product in catalog.products.values()):
        return say("We have no shampoo that is made for {pet} yet.", pet=_one(_species_name(species)))
    return say("None of our shampoos is a safe and good choice for this {species}.", species=_species_name(species))


def contraindication(
    case: Case,
    hazards: Mapping[str, Hazard],
    made_for: Collection[str],
    *,
    bound: float,
    looks_like: Mapping[str, float] = MappingProxyType({}),
    odds: bool = True,
) -> str:
    """Why a product ``made_for`` some species is excluded: its hazard and which animal is at risk, with the probability
    of that if ``odds``.
    """
    everywhere = (case.beside, looks_like)
    # A species that the model does not know comes first: it cannot be ruled out.
    at_risk = max(hazards, key=lambda s: max(case.species.get(s, 2.0), *(where.get(s, 0.0) for where in everywhere)))
    why, pet = str(hazards[at_risk]), _one(_species_name(at_risk))
    if at_risk not in case.species:
        return say("{why}, and this model cannot rule out {pet}.", why=why, pet=pet)
    p = case.species[at_risk]
    if p > CERTAIN:
        return f"{why}."
    near = case.beside.get(at_risk, 0.0)
    if near > max(p, bound):
        if near > CERTAIN:
            return say("{why}, and {pet} is in the photo too.", why=why, pet=pet)
        return say("{why}, and {pet} may be in the photo too.", why=why, pet=pet)
    if (looks := looks_like.get(at_risk, 0.0)) > max(p, bound):
        return say("{why}, and it looks like {pet} ({p}).", why=why, pet=pet, p=likelihood(looks))
    if p > bound:
        if not odds:
            return say("{why}, and this may be {pet}.", why=why, pet=pet)
        return say("{why}, and this may be {pet} ({p}).", why=why, pet=pet, p=likelihood(p))
    unlisted = [species for species, share in case.species.items() if species not in made_for and share > bound]
    if unlisted:
        pet = _one(_species_name(unlisted[0]))
        return say("{why}, and this may be {pet}, of which we know too little.", why=why, pet=pet)
    beside = [species for species, share in case.beside.items() if species not in made_for and share > bound]
    if beside:
        pet = _one(_species_name(beside[0]))
        return say("{why}, and {pet}, of which we know too little, may be in the photo too.", why=why, pet=pet)
    if case.beside:
        return say("{why}, and there may be an animal in the photo that we do not know.", why=why)
    return say("{why}, and this may be an animal that we do not know.", why=why)


def _who(case: Case, catalog: Catalog, ranked: Ranked) -> str:
    leaf, p = ranked[0]
    if leaf[1] is not None and case.level == "species":
        return _unsure(case, catalog, ranked)
    if p >= 0.6 or leaf[1] is None:
        pet = f"{_one(_leaf_name(leaf, catalog))} ({likelihood(p)})"
        perhaps = _perhaps([item for item in ranked[1:] if item[1] >= 0.1], catalog)
        if p >= 0.95:
            return say("This is almost surely {pet}{perhaps}.", pet=pet, perhaps=perhaps)
        return say("This is most likely {pet}{perhaps}.", pet=pet, perhaps=perhaps)
    return say("This may be {pets}.", pets=_named([item for item in ranked if item[1] >= 0.1] or ranked, catalog))


def _unsure(case: Case, catalog: Catalog, ranked: Ranked) -> str:
    species = top_species(case)
    p, pet = case.species[species], _one(_species_name(species))
    likely = [(leaf, share) for leaf, share in ranked if leaf[0] == species and share >= 0.1]
    perhaps = _perhaps(likely, catalog)
    if p >= 0.95:
        return say("This is {pet} whose breed we cannot tell{perhaps}.", pet=pet, perhaps=perhaps)
    shown = likelihood(p)
    if p >= 0.6:
        return say(
            "This is most likely {pet} ({p}), and we cannot tell its breed{perhaps}.",
            pet=pet,
            p=shown,
            perhaps=perhaps,
        )
    return say("This is perhaps {pet} ({p}), and we cannot tell its breed{perhaps}.", pet=pet, p=shown, perhaps=perhaps)


def _perhaps(ranked: Ranked, catalog: Catalog) -> str:
    """An addition that names other leaves that the pet may be; empty if there are none."""
    return say(", perhaps {pets}", pets=_named(ranked, catalog)) if ranked else ""


def _named(ranked: Ranked, catalog: Catalog) -> str:
    """The first three leaves with their probabilities."""
    return _either([f"{_one(_leaf_name(leaf, catalog))} ({likelihood(p)})" for leaf, p in ranked[:3]])


def _coat(case: Case, *, odds: bool) -> str:
    if not (odds or case.level == "breed"):
        return ""  # breeds of one species wear many coats
    total = sum(case.coats.values())
    shares = sorted(((share / total, coat) for coat, share in case.coats.items() if share > 0), reverse=True)
    if not shares:
        return ""
    top, coat = shares[0]
    if top > CERTAIN:
        return say("It has {coat}.", coat=say(COAT_TYPES[coat]))
    likely = [(p, say(COAT_TYPES[c])) for p, c in shares[:3] if p >= 0.1]
    if not odds:
        return say("It may have {coats}.", coats=_either([name for _, name in likely]))
    if top >= ONE_COAT:
        return say("It has {coat} ({p}).", coat=say(COAT_TYPES[coat]), p=likelihood(top))
    return say("It may have {coats}.", coats=_either([f"{name} ({likelihood(p)})" for p, name in likely]))


def _suitability(case: Case, product: Product, because: str, top: float, *, odds: bool) -> str:
    """How many of the likely breeds the product suits, if that is worth saying: well above the probability of the best
    breed ``top``, or below 95%.
    """
    suits, species = case.offers[product.id].suits, top_species(case)
    pet = _species_name(species) if case.species[species] >= 0.95 else say("pet")
    if not (product.suits.coats or product.suits.skin):
        return "" if because or not (odds or case.level == "breed") else _for_all(case, pet)
    if not odds:
        return ""
    if case.level == "breed" and suits - top >= 0.05:
        if suits > CERTAIN:
            return say(
                "It suits nearly every breed that this {pet} may be, so the exact breed hardly matters.", pet=pet
            )
        return say(
            "It suits {p} of the breeds that this {pet} may be, so the exact breed hardly matters.",
            p=likelihood(suits),
            pet=pet,
        )
    return "" if suits >= 0.95 else say("It suits {p} of what this {pet} may be.", p=likelihood(suits), pet=pet)


def _for_all(case: Case, pet: str) -> str:
    """Why a product for every coat is recommended."""
    if max(case.coats.values()) < ONE_COAT * sum(case.coats.values()):
        return say("It suits every coat, and no one coat is likely enough for a special one.")
    return say("It suits every breed that this {pet} may be, which no special one does well enough.", pet=pet)


def _ranked(case: Case, unlisted: float) -> Ranked:
    """Leaves by their probability; breeds of the most probable species are reduced by the probability ``unlisted``."""
    species = top_species(case)
    shares = {
        leaf: (1 - unlisted) * p if leaf[0] == species and leaf[1] is not None else p for leaf, p in case.breeds.items()
    }
    return sorted(shares.items(), key=itemgetter(1), reverse=True)


def _by_species(case: Case) -> Ranked:
    """Species by their probability."""
    return sorted((((species, None), p) for species, p in case.species.items()), key=itemgetter(1), reverse=True)


def top_species(case: Case) -> str:
    """The most probable species."""
    return max(case.species, key=lambda species: case.species[species])


def _species_name(species: str) -> str:
    return local_name(species) or spoken(species)


def _leaf_name(leaf: tuple[str, str | None], catalog: Catalog) -> str:
    species, breed = leaf
    return local_name(species, breed) or (catalog.breed_name(species, breed) if breed else spoken(species))


def _one(name: str) -> str:
    """The name with its indefinite article; without one in languages where that depends on its gender."""
    return say("an {name}", name=name) if VOWEL.match(name) else say("a {name}", name=name)


def _either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else say("{first} or {last}", first=", ".join(items[:-1]), last=items[-1])
