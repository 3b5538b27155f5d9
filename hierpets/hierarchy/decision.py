"""From one photo's joint distribution to an answer that climbs from breed to species to unknown, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["Decision", "Level", "Source", "Thresholds", "decide"]

Level = Literal["breed", "species", "unknown"]
Source = Literal["breed", "species", "rolled_up_to_species", "unknown"]


class Thresholds(BaseModel):
    """The least probability at which an answer is given at each level."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    breed: float = Field(default=0.5, ge=0, le=1)
    species: float = Field(default=0.9, ge=0, le=1)


@dataclass(frozen=True)
class Decision:
    """The answer for one photo. ``species`` and ``breed`` are the likeliest ones, whatever the level of the answer."""

    level: Level
    source: Source
    species: str
    species_probability: float
    breed: str | None
    breed_probability: float | None
    top: tuple[tuple[Leaf, float], ...]
    reason: str

    def node(self, taxonomy: Taxonomy) -> int:
        """The index of the answer at its level: a leaf, a species, or -1 when unknown."""
        if self.level == "breed":
            return taxonomy.leaf_index(self.species, self.breed)
        return taxonomy.species_index(self.species) if self.level == "species" else -1


def decide(joint: np.ndarray, taxonomy: Taxonomy, thresholds: Thresholds, *, top_k: int = 3) -> Decision:
    """Decide one row, float [L].

    The winner is the likeliest leaf of all, not of the likeliest species. Below the breed threshold the answer is
    the likeliest species; below the species threshold it is unknown.
    """
    order = np.argsort(-joint, kind="stable")
    top = tuple((taxonomy.leaves[i], float(joint[i])) for i in order[:top_k])
    leaf, probability = taxonomy.leaves[order[0]], float(joint[order[0]])
    by_species = species_probabilities(joint[None], taxonomy)[0]
    s = int(by_species.argmax())
    likeliest = Leaf(taxonomy.species[s], None), float(by_species[s])
    level, source, reason = _climb((leaf, probability), likeliest, thresholds)
    if source == "rolled_up_to_species" and not taxonomy.tree[taxonomy.species[s]]:
        source = "species"
    # At breed level the species is the breed's own; above it, the one with the most mass.
    species = leaf.species if level == "breed" else taxonomy.species[s]
    inside = taxonomy.slices[taxonomy.species.index(species)]
    best = inside.start + int(joint[inside].argmax())
    return Decision(
        level=level,
        source=source,
        species=species,
        species_probability=float(by_species[taxonomy.species.index(species)]),
        breed=taxonomy.leaves[best].breed,
        breed_probability=float(joint[best]) if taxonomy.leaves[best].breed is not None else None,
        top=top,
        reason=reason,
    )


def _climb(leaf: tuple[Leaf, float], species: tuple[Leaf, float], thresholds: Thresholds) -> tuple[Level, Source, str]:
    """The first node, from breed upwards, whose probability reaches its threshold."""
    name, probability = leaf
    below = f"{name} has {probability:.3f}, below the breed threshold {thresholds.breed:.3f}"
    if name.breed is not None and probability >= thresholds.breed:
        return "breed", "breed", f"{name} has {probability:.3f}, at or above the breed threshold {thresholds.breed:.3f}"
    if species[1] >= thresholds.species:
        return "species", "rolled_up_to_species", f"{below}; {species[0]} has {species[1]:.3f}"
    return (
        "unknown",
        "unknown",
        f"{species[0]} has {species[1]:.3f}, below the species threshold {thresholds.species:.3f}",
    )
