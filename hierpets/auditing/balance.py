"""Photos per class, how imbalanced they are, and which sampler compensates for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hierpets.data.records import PhotoIndex
from hierpets.text import counted

__all__ = ["ClassBalance", "Suggestion", "count_levels", "imbalance_ratio", "suggest_sampler"]

BALANCED = 1.5  # a ratio below this is left alone
STEEP = 10.0
FEW = 10  # photos of a class that would be sampled so often that they are memorized


@dataclass(frozen=True)
class Suggestion:
    """A sampler plugin and the reason for it, with the numbers behind it."""

    sampler: str
    reason: str


@dataclass(frozen=True)
class ClassBalance:
    """Photos per class at one level. ``ratio`` is the largest class over the smallest, None below two classes."""

    counts: dict[str, int]
    ratio: float | None


def count_levels(index: PhotoIndex) -> dict[str, ClassBalance]:
    """``species`` and, where some species has breeds, ``breed``; a photo without a stated breed counts as species."""
    species = Counter(record.species for record in index.records)
    levels = {"species": {name: species[name] for name in index.taxonomy.species}}
    if index.taxonomy.has_breeds:
        known = index.counts()
        levels["breed"] = {str(leaf): known[leaf] for leaf in index.taxonomy.leaves}
    return {level: ClassBalance(counts, imbalance_ratio(counts)) for level, counts in levels.items()}


def imbalance_ratio(counts: dict[str, int]) -> float | None:
    """The largest count over the smallest; infinite where a class is empty."""
    if len(counts) < 2:
        return None
    smallest, largest = min(counts.values()), max(counts.values())
    return largest / smallest if smallest else float("inf")


def suggest_sampler(levels: dict[str, ClassBalance]) -> Suggestion:
    """The mildest sampler that keeps a class from being outvoted."""
    species, breed = levels["species"], levels.get("breed")
    species_uneven = (species.ratio or 1.0) >= BALANCED
    if breed is None or (breed.ratio or 1.0) < BALANCED:
        if species_uneven:
            return Suggestion("species_balanced", _spread(species) + ("; the breeds are balanced" if breed else ""))
        return Suggestion("shuffle", f"no class has {BALANCED:g} times the photos of another")
    smallest = min((count for count in breed.counts.values() if count), default=0)
    if (breed.ratio or 1.0) >= STEEP and smallest < FEW:
        return Suggestion(
            "effective_number",
            f"{_spread(breed)}; a class of {counted(smallest, 'photo')} sampled as often as the others would be "
            "memorized",
        )
    return Suggestion("breed_balanced", _spread(breed))


def _spread(level: ClassBalance) -> str:
    low, high = min(level.counts, key=level.counts.__getitem__), max(level.counts, key=level.counts.__getitem__)
    ratio = "" if level.ratio in (None, float("inf")) else f", {level.ratio:.1f} to 1"
    return f"{high} has {level.counts[high]:,} photos, {low} {level.counts[low]:,}{ratio}"
