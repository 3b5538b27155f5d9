"""The catalog of coats, ingredients and products: the models of three YAML files that anyone can edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from hierpets.messages.breeds import find_label
from hierpets.messages.catalogue import say, spoken
from hierpets.text import capital
from hierpets.validation.strict import PlainName, StrictModel

__all__ = [
    "COAT_TYPES",
    "BreedProfile",
    "BreedsFile",
    "Catalog",
    "Coat",
    "CoatType",
    "Hazard",
    "Ingredient",
    "IngredientsFile",
    "Product",
    "ProductsFile",
    "SkinNote",
    "SpeciesProfile",
    "Traits",
]

CoatType = Literal["hairless", "short_smooth", "short_double", "long_silky", "long_double", "wiry", "curly"]

COAT_TYPES: dict[str, str] = {
    "hairless": "hardly any coat",
    "short_smooth": "a short, close coat",
    "short_double": "a short coat over a dense undercoat",
    "long_silky": "a long, fine coat with little undercoat",
    "long_double": "a long coat over a dense undercoat",
    "wiry": "a wiry coat",
    "curly": "a curly coat",
}
"""Every coat type, with its description as in "It has a wiry coat"."""


class Coat(StrictModel):
    """One coat. ``share`` is the share of a breed, or of a species, that has it."""

    length: Literal["hairless", "short", "medium", "long"]
    undercoat: Literal["none", "light", "dense"]
    texture: Literal["smooth", "silky", "plush", "harsh", "wiry", "wavy", "curly"]
    shedding: Literal["none", "low", "moderate", "high"]
    share: float = Field(default=1.0, gt=0, le=1)

    @property
    def hairless(self) -> bool:
        return self.length == "hairless"

    @property
    def type(self) -> CoatType:
        """The coat type that shampoos are made for. Wiry and curly texture outrank length; wavy texture does not."""
        if self.hairless:
            return "hairless"
        if self.texture == "wiry":
            return "wiry"
        if self.texture == "curly":
            return "curly"
        if self.length == "short":
            return "short_double" if self.undercoat == "dense" else "short_smooth"
        return "long_double" if self.undercoat == "dense" else "long_silky"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Coats = Annotated[tuple[Coat, ...], BeforeValidator(_listed)]


class _Profile(StrictModel):
    skin: tuple[str, ...] = ()

    @field_validator("coat", check_fields=False)
    @classmethod
    def _shares_sum_to_one(cls, coats: tuple[Coat, ...]) -> tuple[Coat, ...]:
        total = sum(coat.share for coat in coats)
        if coats and abs(total - 1) > 1e-6:
            raise ValueError(f"expected shares that sum to 1, got {total:g}")
        return coats


class BreedProfile(_Profile):
    """A breed: its coat, or the coats of its varieties, and what its skin is prone to."""

    coat: Coats = Field(min_length=1)
    name: str | None = None
    sources: tuple[str, ...] = ()


class SpeciesProfile(_Profile):
    """A species: its breeds, and the mix of coats of its unlisted breeds (empty: unknown)."""

    coat: Coats = ()
    breeds: dict[str, BreedProfile] = {}


class SkinNote(StrictModel):
    """Something that a skin is prone to, and a tip for it."""

    means: str
    tip: str


class BreedsFile(StrictModel):
    """``breeds.yaml``."""

    skin: dict[str, SkinNote] = {}
    species: dict[str, SpeciesProfile] = {}


class Ingredient(StrictModel):
    """``not_for`` maps each species that an ingredient harms to the reason, such as "is poisonous to cats"."""

    aliases: tuple[str, ...] = ()
    not_for: dict[str, str] = {}
    sources: tuple[str, ...] = ()


class IngredientsFile(StrictModel):
    """``ingredients.yaml``."""

    ingredients: dict[str, Ingredient]


class Traits(StrictModel):
    """Species, coat types and skin notes."""

    species: tuple[str, ...] = ()
    coats: tuple[CoatType, ...] = ()
    skin: tuple[str, ...] = ()


class Suits(Traits):
    """What a product is made for: a pet must match a species and, if any are named, a coat and a skin note."""

    species: tuple[str, ...] = Field(min_length=1)


def _unfinished(claim: str) -> str:
    if claim.rstrip().endswith((".", "!", "?")):
        raise ValueError("expected no full stop at its end: it becomes a sentence with the product's name before it")
    return claim


Claim = Annotated[str, Field(min_length=1), AfterValidator(_unfinished)]
"""What a product does, as in "makes a long coat easy to comb"."""


class Product(StrictModel):
    """One product. A pet that matches anything in ``avoid`` should not get it; one of a contraindicated species must
    never touch it. ``contains`` must not be empty: without ingredients, nobody can say which animals it harms.
    """

    id: PlainName
    name: str = Field(min_length=1)
    claim: Claim
    suits: Suits
    avoid: Traits = Traits()
    contraindicated_species: tuple[str, ...] = ()
    contains: tuple[str, ...] = Field(min_length=1)
    price: float = Field(ge=0, strict=True)
    on_request: bool = False


class ProductsFile(StrictModel):
    """``products.yaml``."""

    brand: str
    currency: str = Field(pattern="^[A-Z]{3}$")
    products: tuple[Product, ...] = Field(min_length=1)


class Hazard(NamedTuple):
    """Why a product must never touch a species: because of an ingredient or, without one, because its label says so."""

    ingredient: str | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.ingredient is None:
            return say("its label rules this species out")
        ingredient = say(spoken(self.ingredient))
        return say("it contains {ingredient}, which {why}", ingredient=ingredient, why=say(self.why))


@dataclass(frozen=True)
class Catalog:
    """The merged content of the catalog files, as :func:`hierpets.recommend.loading.load_catalog` reads them."""

    species: Mapping[str, SpeciesProfile]
    skin: Mapping[str, SkinNote]
    ingredients: Mapping[str, Ingredient]
    products: Mapping[str, Product]
    brand: str = ""
    currency: str = "EUR"

    def profile(self, species: str, breed: str | None) -> BreedProfile | SpeciesProfile | None:
        """The profile of a breed; that of its species if the breed is not listed; None for an unknown species."""
        own = self.breed_profile(species, breed) if breed is not None else None
        return own or self.species.get(species)

    def breed_profile(self, species: str, breed: str) -> BreedProfile | None:
        """The profile of a breed by any of its names, such as ``Pug`` or ``Alsatian``; None if it is not listed."""
        breeds = self.species[species].breeds if species in self.species else {}
        label = breed if breed in breeds else find_label(breed, breeds, species)
        return breeds[label] if label is not None else None

    @cached_property
    def hazards(self) -> dict[str, dict[str, Hazard]]:
        """For each product, the species that it must never touch and why, by its label and its ingredients."""
        return {product.id: self._hazards_of(product) for product in self.products.values()}

    def _hazards_of(self, product: Product) -> dict[str, Hazard]:
        declared = dict.fromkeys(product.contraindicated_species, Hazard())
        contained = {
            species: Hazard(name, why)
            for name in reversed(product.contains)
            for species, why in self.ingredient(name).not_for.items()
        }
        return {**declared, **contained}

    @cached_property
    def contents(self) -> dict[str, tuple[str, ...]]:
        """For each product, the names of its ingredients, with aliases resolved."""
        names = self.ingredient_names
        return {product.id: tuple(names[name] for name in product.contains) for product in self.products.values()}

    def ingredient(self, name: str) -> Ingredient:
        """An ingredient by its name or an alias."""
        return self.ingredients[self.ingredient_names[name]]

    @cached_property
    def ingredient_names(self) -> dict[str, str]:
        """Map every name and alias of an ingredient to its name."""
        aliases = {alias: name for name, one in self.ingredients.items() for alias in one.aliases}
        return {**aliases, **{name: name for name in self.ingredients}}

    def breed_name(self, species: str, breed: str) -> str:
        """A breed as it is written in a sentence: ``english_setter`` -> ``English Setter``."""
        known = self.species.get(species)
        own = known.breeds.get(breed) if known else None
        return own.name if own and own.name else " ".join(map(capital, breed.split("_")))
