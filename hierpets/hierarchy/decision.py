"""From one photo's joint distribution to an answer that climbs from breed to species to unknown, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hierpets.hierarchy.policy import Policy, Thresholds
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["AS_FITTED", "Asked", "Decision", "Level", "Scores", "Source", "decide"]

Level = Literal["breed", "species", "unknown"]
Source = Literal["breed", "species", "rolled_up_to_species", "unknown", "not_a_known_pet", "restricted"]


class Scores(NamedTuple):
    """How familiar the photo is: as a pet of a known species, and as one of the known breeds."""

    pet: float
    known: float


@dataclass(frozen=True)
class Asked:
    """What the user asks for: another alpha, no answer below ``max_level``, or a restriction to some leaves."""

    alpha: float | None = None
    max_level: Literal["breed", "species"] = "breed"
    restricted: bool = False


AS_FITTED = Asked()
"""Nothing special: the thresholds as the bundle holds them."""


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
    thresholds: Thresholds
    reason: str

    def node(self, taxonomy: Taxonomy) -> int:
        """The index of the answer at its level: a leaf, a species, or -1 when unknown."""
        if self.level == "breed":
            return taxonomy.leaf_index(self.species, self.breed)
        return taxonomy.species_index(self.species) if self.level == "species" else -1


def decide(
    joint: np.ndarray,
    taxonomy: Taxonomy,
    policy: Policy,
    *,
    scores: Scores | None = None,
    asked: Asked = AS_FITTED,
    top_k: int = 3,
) -> Decision:
    """Decide one row, float [L].

    The winner is the likeliest leaf of all, not the likeliest of the likeliest species. Its species decides which
    thresholds hold. A photo that is no known pet is unknown; one that looks like no known breed, or whose winner is not
    likely enough, is answered by its species; and by "unknown" where that is not likely enough either.
    """
    order = np.argsort(-joint, kind="stable")
    by_species = species_probabilities(joint[None], taxonomy)[0]
    winner, s = taxonomy.leaves[order[0]], int(by_species.argmax())
    likeliest = taxonomy.species[s]
    # A winner of another species than the likeliest can only be unsure: it has less than half of the mass.
    inside = taxonomy.slices[s]
    best = inside.start + int(joint[inside].argmax())
    breed = taxonomy.leaves[best].breed
    view = _View(
        winner=winner,
        leaf=float(joint[order[0]]),
        runner_up=(taxonomy.leaves[order[1]], float(joint[order[1]])) if len(order) > 1 else None,
        species=likeliest,
        mass=float(by_species[s]),
        scores=scores,
        thresholds=policy.thresholds(likeliest, asked.alpha),
    )
    level, source, reason = _climb(view, has_breeds=bool(taxonomy.tree[likeliest]), asked=asked)
    return Decision(
        level=level,
        source=source,
        species=likeliest,
        species_probability=view.mass,
        breed=breed,
        breed_probability=float(joint[best]) if breed is not None else None,
        top=tuple((taxonomy.leaves[i], float(joint[i])) for i in order[:top_k]),
        thresholds=view.thresholds,
        reason=reason,
    )


@dataclass(frozen=True)
class _View:
    """What the climb looks at."""

    winner: Leaf
    leaf: float
    runner_up: tuple[Leaf, float] | None
    species: str
    mass: float
    scores: Scores | None
    thresholds: Thresholds


def _climb(view: _View, *, has_breeds: bool, asked: Asked) -> tuple[Level, Source, str]:
    """The first node, from breed upwards, that nothing speaks against."""
    t = view.thresholds
    if view.scores and t.pet is not None and not asked.restricted and view.scores.pet < t.pet:
        why = f"it does not look like any known pet: pet score {view.scores.pet:.2f}, below {t.pet:.2f}"
        return "unknown", "not_a_known_pet", why
    objection = _objection(view, asked) if has_breeds else None
    said: Source = "restricted" if asked.restricted else "breed"
    if has_breeds and objection is None:
        return "breed", said, f"{view.winner} has {view.leaf:.3f}, above {t.probability:.3f}{_rival(view)}"
    whole = f"{view.species} as a whole has {view.mass:.3f}"
    if view.mass <= t.probability:
        return "unknown", "unknown", f"{whole}, not above {t.probability:.3f} (alpha {t.alpha:g})"
    if not has_breeds:
        return "species", "restricted" if asked.restricted else "species", f"{whole} and no breeds to tell apart"
    return "species", "restricted" if asked.restricted else "rolled_up_to_species", f"{objection}; {whole}"


def _objection(view: _View, asked: Asked) -> str | None:
    """Why the breed is not named, or None."""
    t = view.thresholds
    if asked.max_level == "species":
        return "no breed was asked for"
    if view.scores and t.known is not None and not asked.restricted and view.scores.known < t.known:
        score = f"familiarity {view.scores.known:.2f}, below {t.known:.2f}"
        return f"it looks like no {view.species} breed that is known: {score}; nearest {view.winner} {view.leaf:.3f}"
    if view.winner.species != view.species or view.leaf <= t.probability:
        return f"{view.winner} has {view.leaf:.3f}, not above {t.probability:.3f} (alpha {t.alpha:g}){_rival(view)}"
    return None


def _rival(view: _View) -> str:
    return f"; next {view.runner_up[0]} {view.runner_up[1]:.3f}" if view.runner_up else ""
