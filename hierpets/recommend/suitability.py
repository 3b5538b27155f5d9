"""How well every product suits every breed, as matrices: a photo's distribution then takes three small products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.recommend.catalog import COAT_TYPES, BreedProfile, Catalog, CoatType, Product, SpeciesProfile
from hierpets.taxonomy import Taxonomy

__all__ = ["Suitability", "SuitabilityMatrix"]

_COATS = tuple(COAT_TYPES)


class Suitability(NamedTuple):
    """For one pet, masses that need not sum to one: what is not known is left out.

    ``suits``, ``avoid``, ``harm`` float [P] in the order of the products, ``coats`` float [7] in that of the coat
    types, ``skin`` float [K] in that of the skin notes, ``species`` float [S] in that of the taxonomy.
    """

    suits: np.ndarray
    avoid: np.ndarray
    harm: np.ndarray
    coats: np.ndarray
    skin: np.ndarray
    species: np.ndarray


@dataclass(frozen=True)
class SuitabilityMatrix:
    """Rows are the leaves of a taxonomy and then, for each species, a breed that is not listed.

    ``suits`` and ``avoid`` float [L + S, P] hold the share of the row's pets that a product suits, or is to avoid;
    ``coats`` float [L + S, 7] and ``skin`` float [L + S, K] the share that wears a coat or has a skin note.
    ``forbidden`` bool [S, P]: the product must never touch the species, or is not made for it and known to hurt some
    other. ``never`` bool [P]: it would hurt a species that the taxonomy cannot tell.
    ``hazardous`` bool [P]: it hurts some species.
    """

    taxonomy: Taxonomy
    suits: np.ndarray
    avoid: np.ndarray
    coats: np.ndarray
    skin: np.ndarray
    forbidden: np.ndarray
    never: np.ndarray
    hazardous: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog, taxonomy: Taxonomy) -> SuitabilityMatrix:
        rows = [(leaf.species, leaf.breed) for leaf in taxonomy.leaves] + [(name, None) for name in taxonomy.species]
        products, notes = list(catalog.products.values()), list(catalog.skin)
        suits, avoid = np.zeros((2, len(rows), len(products)))
        coats, skin = np.zeros((len(rows), len(_COATS))), np.zeros((len(rows), len(notes)))
        for r, (species, breed) in enumerate(rows):
            profile = catalog.profile(species, breed)
            worn, prone = _coats_of(profile), frozenset(profile.skin if profile else ())
            skin[r] = [note in prone for note in notes]
            for coat, share in worn:
                if coat is not None:
                    coats[r, _COATS.index(coat)] += share
                verdicts = [_verdict(product, species, coat, prone) for product in products]
                suits[r] += [share * (verdict == "suits") for verdict in verdicts]
                avoid[r] += [share * (verdict == "avoid") for verdict in verdicts]
        hazards = [catalog.hazards[product.id] for product in products]
        # Where a product is not made for a species, nobody says that a hazard to others is none to it.
        pairs = list(zip(products, hazards, strict=True))
        forbidden = [[s in h or (bool(h) and s not in p.suits.species) for p, h in pairs] for s in taxonomy.species]
        return cls(
            taxonomy=taxonomy,
            suits=suits,
            avoid=avoid,
            coats=coats,
            skin=skin,
            forbidden=np.array(forbidden),
            never=np.array([any(s not in taxonomy.species for s in h) for h in hazards]),
            hazardous=np.array([bool(h) for h in hazards]),
        )

    def weigh(
        self, joint: np.ndarray, *, unlisted: float, beside: ArrayLike = (), bystanders: ArrayLike = 0.0
    ) -> Suitability:
        """``joint`` float [L], of which ``unlisted`` is the share of no listed breed. ``beside`` [N, S] are the
        probabilities of the species of other animals in the photo, ``bystanders`` [S] those that one of a species is
        there as well.

        What is missing to a sum of one may be any animal: it counts as harm for every product that hurts some animal.
        What hurts an animal nearby counts as if it was this one: they lick each other.
        """
        species = species_probabilities(joint, self.taxonomy)  # [S]
        rows = np.concatenate([(1.0 - unlisted) * joint, unlisted * species])
        animals = np.concatenate([species[None], np.reshape(beside, (-1, len(species)))])
        nearby = np.broadcast_to(bystanders, len(species))[:, None] * self.forbidden  # [S, P]
        return Suitability(
            suits=rows @ self.suits,
            avoid=rows @ self.avoid,
            harm=np.where(self.never, 1.0, np.maximum(self._harm(animals).max(axis=0), nearby.max(axis=0))),
            coats=rows @ self.coats,
            skin=rows @ self.skin,
            species=species,
        )

    def _harm(self, species: np.ndarray) -> np.ndarray:
        """float [N, P], of animals of which ``species`` [N, S] are the probabilities."""
        missing = np.maximum(0.0, 1.0 - species.sum(axis=1, keepdims=True)).round(9)
        return species @ self.forbidden + missing * self.hazardous


def _coats_of(profile: BreedProfile | SpeciesProfile | None) -> list[tuple[CoatType | None, float]]:
    if profile is None or not profile.coat:
        return [(None, 1.0)]
    return [(coat.type, coat.share) for coat in profile.coat]


def _verdict(product: Product, species: str, coat: CoatType | None, skin: frozenset[str]) -> str:
    """``"avoid"`` at one match of what it is to avoid, ``"suits"`` if all it is made for matches, else ``"no"``."""
    shun, suits = product.avoid, product.suits
    if species in shun.species or coat in shun.coats or skin & set(shun.skin):
        return "avoid"
    fits = species in suits.species and (not suits.coats or coat in suits.coats)
    return "suits" if fits and (not suits.skin or skin & set(suits.skin)) else "no"
