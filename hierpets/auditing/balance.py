"""Photos per class, how imbalanced they are, and which sampler compensates for it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import PlainSerializer

from hierpets.data.records import PhotoIndex
from hierpets.text import counted
from hierpets.validation.strict import StrictModel

__all__ = ["ClassBalance", "SuggestedSampler", "count_levels", "imbalance_ratio", "suggest_sampler"]

BALANCED = 1.5  # an imbalance ratio below this needs no sampler
STEEP = 10.0
FEW = 10  # with fewer photos, a class that is sampled as often as others would be memorized


class SuggestedSampler(StrictModel):
    """A sampler plugin and the reason for it, with the numbers behind it."""

    name: str
    reason: str


class ClassBalance(StrictModel):
    """Photos per class at one level, and the :func:`imbalance_ratio` of these counts."""

    counts: dict[str, int]
    imbalance_ratio: Annotated[float, PlainSerializer(lambda ratio: round(ratio, 3))] | None

    @property
    def uneven(self) -> bool:
        """Whether the classes are so imbalanced that a sampler should compensate for it."""
        return self.reaches(BALANCED)

    def reaches(self, ratio: float) -> bool:
        """Whether the largest class has at least ``ratio`` times as many photos as the smallest, which may be empty."""
        return len(self.counts) > 1 and (self.imbalance_ratio is None or self.imbalance_ratio >= ratio)


def count_levels(index: PhotoIndex) -> dict[str, ClassBalance]:
    """Count photos per class at the levels ``species`` and, if a species has breeds, ``breed``. Photos without a stated
    breed count only at the species level.
    """
    species = Counter(record.species for record in index.records)
    levels = {"species": {name: species[name] for name in index.taxonomy.species}}
    if index.taxonomy.has_breeds:
        known = index.counts()
        levels["breed"] = {str(leaf): known[leaf] for leaf in index.taxonomy.leaves}
    return {
        level: ClassBalance(counts=counts, imbalance_ratio=imbalance_ratio(counts)) for level, counts in levels.items()
    }


def imbalance_ratio(counts: dict[str, int]) -> float | None:
    """The largest count divided by the smallest; None with fewer than two classes, or if one is empty."""
    if len(counts) < 2 or not min(counts.values()):
        return None
    return max(counts.values()) / min(counts.values())


def suggest_sampler(levels: dict[str, ClassBalance]) -> SuggestedSampler:
    """Suggest the mildest sampler that compensates for the imbalance."""
    species, breed = levels["species"], levels.get("breed")
    if breed is None or not breed.uneven:
        if species.uneven:
            reason = _spread(species) + ("; the breeds are balanced" if breed else "")
            return SuggestedSampler(name="species_balanced", reason=reason)
        return SuggestedSampler(name="shuffle", reason=f"no class has {BALANCED:g} times the photos of another")
    smallest = min((count for count in breed.counts.values() if count), default=0)
    if breed.reaches(STEEP) and smallest < FEW:
        memorized = f"a class of {counted(smallest, 'photo')} sampled as often as the others would be memorized"
        return SuggestedSampler(name="effective_number", reason=f"{_spread(breed)}; {memorized}")
    return SuggestedSampler(name="breed_balanced", reason=_spread(breed))


def _spread(level: ClassBalance) -> str:
    low, high = min(level.counts, key=level.counts.__getitem__), max(level.counts, key=level.counts.__getitem__)
    ratio = "" if level.imbalance_ratio is None else f", {level.imbalance_ratio:.1f} to 1"
    return f"{high} has {level.counts[high]:,} photos, {low} {level.counts[low]:,}{ratio}"
