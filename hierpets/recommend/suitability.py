"""How well every product suits every breed, as matrices: a photo then takes a few small matrix products."""

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
    """Probability masses for one pet, which need not sum to one.

    ``suits``, ``avoid`` and ``harm`` float [P] are the probabilities that each product suits the pet, is to be avoided,
    or harms it or an animal beside it. ``coats`` float [7] and ``skin`` float [K] are those of each coat type and skin
    note, ``species`` float [S] those of the taxonomy's species.
    """

    suits: np.ndarray
    avoid: np.ndarray
    harm: np.ndarray
    coats: np.ndarray
    skin: np.ndarray
    species: np.ndarray


@dataclass(frozen=True)
class SuitabilityMatrix:
    """Suitability of P products for each leaf of a taxonomy and for an unlisted breed of each species.

    Rows are the L leaves, then the unlisted breed of each of S species. ``suits`` and ``avoid`` float [L + S, P] are
    the shares of such pets that a product suits, or should be avoided for. ``coats`` float [L + S, 7] and ``skin``
    float [L + S, K] are the shares with each coat type and each skin note. ``forbidden`` bool [S, P]: the product must
    never touch the species, or is not made for it and harms another. ``never`` bool [P]: it harms a species that is not
    in the taxonomy. ``hazardous`` bool [P]: it harms some species.
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
        # Nobody has checked that a product is harmless to a species that it is not made for.
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
        """Weigh every product for one pet with the joint distribution ``joint`` float [L].

        ``unlisted`` is the probability that the breed is not a listed one. ``beside`` [N, S] are the species
        probabilities of other animals in the photo, ``bystanders`` [S] the probability that an animal of each species
        is there too.

        Mass that is missing to a sum of one may be any animal: it counts as harm for every product that harms some
        species. Harm to an animal nearby counts as harm to the pet itself: they lick each other.
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
        """The probability that each product harms each animal, float [N, P], by their species probabilities [N, S]."""
        missing = np.maximum(0.0, 1.0 - species.sum(axis=1, keepdims=True)).round(9)
        return species @ self.forbidden + missing * self.hazardous


def _coats_of(profile: BreedProfile | SpeciesProfile | None) -> list[tuple[CoatType | None, float]]:
    if profile is None or not profile.coat:
        return [(None, 1.0)]
    return [(coat.type, coat.share) for coat in profile.coat]


def _verdict(product: Product, species: str, coat: CoatType | None, skin: frozenset[str]) -> str:
    """``"avoid"`` if anything in ``avoid`` matches, ``"suits"`` if everything in ``suits`` does, else ``"no"``."""
    avoid, suits = product.avoid, product.suits
    if species in avoid.species or coat in avoid.coats or skin & set(avoid.skin):
        return "avoid"
    fits = species in suits.species and (not suits.coats or coat in suits.coats)
    return "suits" if fits and (not suits.skin or skin & set(suits.skin)) else "no"
