"""The options of a prediction: the same in Python, on the command line, over HTTP and on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, ValidationError

from hierpets.errors import ConfigError, DataError, did_you_mean, shown
from hierpets.hierarchy.decision import MaxLevel
from hierpets.hierarchy.policy import MAX_SET
from hierpets.messages.breeds import find_label, other_names
from hierpets.messages.catalogue import Language
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.validation.problems import problem_lines
from hierpets.validation.strict import ONE_IS_A_LIST, StrictModel

__all__ = ["PredictOptions", "Restriction", "find_class"]


class Restriction(NamedTuple):
    """The ``leaves`` bool [L] that a pet may be, and which species are ``closed`` bool [S].

    A species is closed if the caller named breeds of it but not the species itself: its pets are of a named breed.
    """

    leaves: np.ndarray
    closed: np.ndarray


class PredictOptions(StrictModel):
    """Options of one call of :meth:`hierpets.Predictor.predict`."""

    alpha: float | None = Field(default=None, gt=0, lt=1, description="target error rate; default: that of the bundle")
    only: Annotated[tuple[str, ...], ONE_IS_A_LIST] = Field(
        default=(), description="species and breeds that the pet may be: dog, cat/birman, or birman; empty: all"
    )
    max_level: MaxLevel = Field(default="breed", description="finest level to predict")
    max_set: int = Field(
        default=MAX_SET,
        ge=1,
        le=MAX_SET,
        description=f"most breeds, up to {MAX_SET}, that an answer may leave open; 1: name a single one or none",
    )
    top_k: int = Field(default=3, ge=1, description="number of candidates per photo")
    regions: bool = Field(default=False, description="find the animals in each photo, and answer each by itself")
    explain: bool = Field(default=False, description="report the effect of each shampoo rule")
    language: Language = Field(
        default="en", description="language of sentences: en, de, es, fr or pt; keys and labels stay as they are"
    )

    @classmethod
    def of(cls, options: PredictOptions | None, words: Mapping[str, Any]) -> PredictOptions:
        """``options``, updated with ``words``.

        :raises ConfigError: an option that does not exist or is out of range, all in one message; or ``options`` of
            another type.
        """
        if options is not None and not isinstance(options, PredictOptions):
            raise ConfigError(
                f"options: expected PredictOptions, got {type(options).__name__}; several photos are given as a list, "
                "single options by name: predict(photos, alpha=0.01)"
            )
        given = options.model_dump() if options is not None else {}
        try:
            return cls.model_validate({**given, **words})
        except ValidationError as error:
            raise ConfigError("\n".join(problem_lines(error, cls))) from None

    def restriction(self, taxonomy: Taxonomy) -> Restriction | None:
        """The classes that ``only`` allows; None if it is empty.

        :raises ConfigError: a name that is not in the taxonomy.
        """
        return _restriction(self.only, taxonomy) if self.only else None


def find_class(given: str, taxonomy: Taxonomy) -> Leaf:
    """Find the class that a name stands for.

    The name may be a species (the result then has no breed), ``species/breed``, a breed that only one species has, or
    another name of one of these in any language: ``"Deutscher Schäferhund"``.

    :raises DataError: the taxonomy does not know the name (with a suggestion), or several species have such a breed.
    """
    labels = [*taxonomy.species, *map(str, taxonomy.leaves), *(leaf.breed for leaf in taxonomy.leaves if leaf.breed)]
    name = given if given in labels else find_label(given, labels) or given
    if name in taxonomy.species:  # even if a breed has the same name
        return Leaf(name, None)
    found = [leaf for leaf in taxonomy.leaves if name in (str(leaf), leaf.breed)]
    if not found:
        several = "; give several names one by one" if "," in name else ""  # as --levels takes them
        hint = several or did_you_mean(name, [*labels, *other_names(labels)])
        raise DataError(f"{shown(given)} is not a species or a breed of this model{hint}")
    owners = sorted({leaf.species for leaf in found})
    if len(owners) > 1:
        choices = " or ".join(f"{owner}/{name}" for owner in owners)
        raise DataError(f"{name!r} is a breed of {' and of '.join(owners)}; use {choices}")
    return found[0]


def _restriction(names: Iterable[str], taxonomy: Taxonomy) -> Restriction:
    """The restriction to the classes with these names.

    :raises ConfigError: a name that :func:`find_class` does not find.
    """
    breeds, species = np.zeros(len(taxonomy.leaves), dtype=bool), np.zeros(len(taxonomy.species), dtype=bool)
    for name in dict.fromkeys(names):
        try:
            label = find_class(name, taxonomy)
        except DataError as error:
            raise ConfigError(f"only: {error}") from None
        if label.breed is None:
            species[taxonomy.species_index(label.species)] = True
        else:
            breeds[taxonomy.leaf_index(*label)] = True
    closed = np.array([breeds[columns].any() for columns in taxonomy.slices]) & ~species
    return Restriction(breeds | species[taxonomy.leaf_species], closed)
