"""From one photo's joint distribution to a prediction that rolls up from breed to species to unknown, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hierpets.hierarchy.policy import Policy, Thresholds
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["UNLISTED", "Decision", "Level", "MaxLevel", "Scores", "Source", "decide"]

UNLISTED = 0.5
"""Below this probability of being listed, a breed counts as not recognized."""

Level = Literal["breed", "species", "unknown"]
MaxLevel = Literal["breed", "species"]
Source = Literal["breed", "species", "rolled_up_to_species", "unknown", "not_a_known_pet", "restricted"]


class Scores(NamedTuple):
    """Out-of-distribution scores, lower for a photo less like those of training: as a pet, and as a known breed.

    In a prediction ``known`` is a probability: that the breed is one of those listed.
    """

    pet: float
    known: float


@dataclass(frozen=True)
class Decision:
    """The prediction for one photo. ``species`` and ``breed`` are the most probable ones, whatever its level.

    ``listed`` is the probability that its breed is one of those listed; those of breeds, in ``top`` too, are multiplied
    by it: what is missing to the species' probability belongs to other breeds.
    """

    level: Level
    source: Source
    species: str
    species_probability: float
    breed: str | None
    breed_probability: float | None
    top: tuple[tuple[Leaf, float], ...]
    thresholds: Thresholds
    listed: float
    reason: str

    def node(self, taxonomy: Taxonomy) -> int:
        """The index of the prediction at its level: a leaf, a species, or -1 when unknown."""
        if self.level == "breed":
            return taxonomy.leaf_index(self.species, self.breed)
        return taxonomy.species_index(self.species) if self.level == "species" else -1


def decide(
    joint: np.ndarray,
    taxonomy: Taxonomy,
    policy: Policy,
    *,
    scores: Scores | None = None,
    alpha: float | None = None,
    max_level: MaxLevel = "breed",
    restricted: bool = False,
    closed: bool = False,
    thresholds: Mapping[str, Thresholds] | None = None,
    top_k: int = 3,
) -> Decision:
    """Decide one row, float [L].

    ``restricted``: the caller says which species it may be, so that it is a pet. ``closed``: the caller says which
    breeds it may be, so that it is of one of them. ``thresholds``: those of each species at ``alpha``, for who decides
    many photos; finding them takes a third of the time of a decision.

    The winner is the most probable leaf of all, not that of the most probable species. The latter decides which
    thresholds hold. A photo that is no known pet is unknown; one whose winner is not probable enough, for doubt which
    breed it is or whether it is a listed one at all, is predicted as its species, and as "unknown" if that is not
    probable enough either.
    """
    order = np.argsort(-joint, kind="stable")
    by_species = species_probabilities(joint[None], taxonomy)[0]
    winner, s = taxonomy.leaves[order[0]], int(by_species.argmax())
    name = taxonomy.species[s]
    # A winner of another species than the most probable one can only be unsure: it has less than half of the mass.
    inside = taxonomy.slices[s]
    best = inside.start + int(joint[inside].argmax())
    breed = taxonomy.leaves[best].breed
    curve = policy.listed.get(name)
    listed = 1.0 if scores is None or closed or curve is None else float(curve.probability(scores.known))
    named = np.where(taxonomy.is_breed, listed * joint, joint)
    view = _View(
        winner=winner,
        leaf=_at_most_one(named[order[0]]),
        runner_up=(taxonomy.leaves[order[1]], _at_most_one(named[order[1]])) if len(order) > 1 else None,
        species=name,
        mass=_at_most_one(by_species[s]),
        scores=scores,
        listed=listed,
        thresholds=policy.thresholds(name, alpha) if thresholds is None else thresholds[name],
        grown=policy.leaf_probability(winner, alpha),
        has_breeds=bool(taxonomy.tree[name]),
        max_level=max_level,
        restricted=restricted,
    )
    level, source, reason = _roll_up(view)
    return Decision(
        level=level,
        source=source,
        species=name,
        species_probability=view.mass,
        breed=breed,
        breed_probability=_at_most_one(named[best]) if breed is not None else None,
        top=tuple((taxonomy.leaves[i], _at_most_one(named[i])) for i in np.lexsort((-joint, -named))[:top_k]),
        thresholds=view.thresholds,
        listed=listed,
        reason=reason,
    )


def _at_most_one(probability: float) -> float:
    """Sums of floats pass one by a rounding error."""
    return min(1.0, float(probability))


@dataclass(frozen=True)
class _View:
    """What the roll-up looks at."""

    winner: Leaf
    leaf: float
    runner_up: tuple[Leaf, float] | None
    species: str
    mass: float
    scores: Scores | None
    listed: float
    thresholds: Thresholds
    grown: float
    has_breeds: bool
    max_level: MaxLevel
    restricted: bool

    @property
    def bound(self) -> float:
        """What the winner's probability must exceed to be named: a leaf that was grown has a threshold of its own."""
        return max(self.thresholds.probability, self.grown)


def _roll_up(view: _View) -> tuple[Level, Source, str]:
    """The first node, from breed upwards, without an objection."""
    t, restricted = view.thresholds, view.restricted
    if view.scores and t.pet is not None and not restricted and view.scores.pet < t.pet:
        score, least = _distinct(view.scores.pet, t.pet, digits=2)
        why = f"it looks like no pet of a known species: pet score {score}, threshold {least}"
        return "unknown", "not_a_known_pet", why
    objection = _objection(view) if view.has_breeds else None
    if view.has_breeds and objection is None:
        probability, bound = _distinct(view.leaf, view.bound)
        why = f"{view.winner} has probability {probability}, above the threshold {bound}{_runner_up(view)}"
        return "breed", "restricted" if restricted else "breed", why
    mass, bound = _distinct(view.mass, t.probability)
    if view.mass <= t.probability:
        return "unknown", "unknown", f"{view.species} has probability {mass}, {_not_above(bound, t)}"
    whole = f"{view.species} has probability {mass}"
    if not view.has_breeds:
        return "species", "restricted" if restricted else "species", f"{whole} and no breeds to tell apart"
    return "species", "restricted" if restricted else "rolled_up_to_species", f"{objection}; {whole}"


def _objection(view: _View) -> str | None:
    """Why the breed is not named, or None."""
    t = view.thresholds
    if view.max_level == "species":
        return "max_level is species"
    if view.grown == 1.0:
        return f"{view.winner} was grown from too few photos for a promise at alpha {t.alpha:g}"
    if view.winner.species != view.species or view.leaf <= view.bound:
        probability, bound = _distinct(view.leaf, view.bound)
        doubt = f"{view.listed:.2f} that its breed is listed; " if view.listed < UNLISTED else ""
        return f"{doubt}{view.winner} has probability {probability}, {_not_above(bound, t)}{_runner_up(view)}"
    return None


def _not_above(bound: str, thresholds: Thresholds) -> str:
    if thresholds.probability >= 1:
        return f"and the model was calibrated on too few photos for a promise at alpha {thresholds.alpha:g}"
    return f"not above the threshold {bound} (alpha {thresholds.alpha:g})"


def _runner_up(view: _View) -> str:
    return f"; next {view.runner_up[0]} {view.runner_up[1]:.3f}" if view.runner_up else ""


def _distinct(value: float, bound: float, *, digits: int = 3) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to see that they differ, and are not one (nine at most)."""
    while True:
        shown = f"{value:.{digits}f}", f"{bound:.{digits}f}"
        hidden = value != bound and shown[0] == shown[1]
        rounded = any(number < 1 <= float(text) for number, text in zip((value, bound), shown, strict=True))
        if digits >= 9 or not (hidden or rounded):
            return shown
        digits += 1
