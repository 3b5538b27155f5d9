"""From the joint distribution of photos to predictions that back off from breed to species to unknown, and say why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hierpets.hierarchy.breed_sets import breed_sets
from hierpets.hierarchy.policy import MAX_SET, PET_SCORE_BAND, SURE_BREED, Policy, Thresholds
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.messages.breeds import local_name
from hierpets.messages.catalogue import number, say
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["UNLISTED", "Decision", "Level", "MaxLevel", "Source", "decide", "least_pet_scores", "named_probabilities"]

UNLISTED = 0.5
"""Below this probability of being listed, a breed counts as not recognized."""

LARGEST = 1 - 1e-9  # probability below one that a reason writes

Level = Literal["breed", "species", "unknown"]
MaxLevel = Literal["breed", "species"]
Source = Literal["breed", "species", "breed_set", "rolled_up_to_species", "unknown", "not_a_known_pet", "restricted"]


@dataclass(frozen=True)
class Decision:
    """The prediction for one photo. ``species`` and ``breed`` are the most probable ones, whatever its level.

    ``breeds`` is the set of breeds that the answer leaves open: where no single one is sure enough, but a few of them
    together are. ``listed`` is the probability that its breed is one of those listed; those of breeds, in ``top`` too,
    are multiplied by it: what is missing to the species' probability belongs to other breeds. ``max_level`` is what
    was asked for.
    """

    level: Level
    source: Source
    species: str
    species_probability: float
    breed: str | None
    breed_probability: float | None
    breeds: tuple[tuple[Leaf, float], ...]
    top: tuple[tuple[Leaf, float], ...]
    thresholds: Thresholds
    listed: float
    reason: str
    max_level: MaxLevel = "breed"

    def node(self, taxonomy: Taxonomy) -> int:
        """The index of the prediction at its level: a leaf, a species, or -1 when unknown."""
        if self.level == "breed":
            return taxonomy.leaf_index(self.species, self.breed)
        return taxonomy.species_index(self.species) if self.level == "species" else -1


def named_probabilities(joint: np.ndarray, listed: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """The probability of every leaf [N, L], other breeds than those listed considered: ``joint`` [N, L] is that among
    the leaves alone, ``listed`` [N, S] the probability that a breed of each species is one of them.
    """
    return np.where(taxonomy.is_breed, joint * listed[:, taxonomy.leaf_species], joint)


def least_pet_scores(policy: Policy, named: np.ndarray, taxonomy: Taxonomy, others: np.ndarray) -> np.ndarray:
    """The least pet score of each photo that is a pet, float [N], by the probabilities ``named`` [N, L]: minus infinity
    without such scores, and lower where a breed is sure, which is at least as probable as :data:`SURE_BREED`.

    That says something where it was learned what other breeds of its species look like, ``others`` bool [S].
    """
    best = named.argmax(axis=1)
    sure = taxonomy.is_breed[best] & others[taxonomy.leaf_species[best]] & (named.max(axis=1) >= SURE_BREED)
    least = -np.inf if policy.pet is None else policy.pet
    return np.where(sure, least - PET_SCORE_BAND, least)


def decide(
    joint: np.ndarray,
    taxonomy: Taxonomy,
    policy: Policy,
    *,
    scores: np.ndarray | None = None,
    max_level: MaxLevel = "breed",
    max_set: int = MAX_SET,
    unrestricted: np.ndarray | None = None,
    closed: np.ndarray | None = None,
    thresholds: Mapping[str, Thresholds] | None = None,
    top_k: int = 3,
) -> list[Decision]:
    """Decide each of N photos by their rows of ``joint`` [N, L].

    ``scores`` [N, 1 + S]: the pet score, lower for a photo less like a pet of a known species, and for each species the
    probability that, if the photo shows it, its breed is one of those listed.
    ``max_set``: the most breeds that the answer may leave open. ``unrestricted`` [N, L]: what ``joint`` was before the
    caller said which species and breeds it may be, so that it is a pet; ``closed`` bool [S]: the species of which the
    caller says which breeds it may be.
    ``thresholds``: those of each species, at one alpha and ``max_set``; default: at the alpha of the policy.

    The most probable species, the sum of its breeds, decides which thresholds hold. A photo that is no known pet is
    unknown; one whose breed is sure (:func:`least_pet_scores`) may look less like a pet. Else the answer is the first
    that is probable enough of: the most probable breed, the two most probable ones of its species, three of them, the
    species, "unknown". Each is less probable for doubt whether the breed is listed.
    """
    restricted = unrestricted is not None
    listed = (np.ones((len(joint), len(taxonomy.species))) if scores is None else scores[:, 1:]).astype(np.float64)
    seen = named_probabilities(joint if unrestricted is None else unrestricted, listed, taxonomy)
    if closed is not None:
        listed = np.where(closed, 1.0, listed)
    named = named_probabilities(joint, listed, taxonomy) if restricted else seen
    by_species = species_probabilities(joint, taxonomy)
    winner = by_species.argmax(axis=1)
    best = np.where(taxonomy.leaf_species == winner[:, None], joint, -1.0).argmax(axis=1)
    order = np.lexsort((-joint, -named))[:, : max(2, top_k)]
    sets = breed_sets(named, winner, taxonomy, max_set)
    if thresholds is None:
        thresholds = {name: policy.thresholds(name, max_set=max_set) for name in taxonomy.species}
    # What the caller says makes no breed surer.
    least = least_pet_scores(policy, seen, taxonomy, policy.knows_others(taxonomy.species)).tolist()
    decisions = []
    for i, s in enumerate(winner.tolist()):
        name = taxonomy.species[s]
        top = tuple((taxonomy.leaves[k], _at_most_one(named[i, k])) for k in order[i].tolist())
        alpha = thresholds[name].alpha
        grown = policy.leaf_probability(top[0][0], alpha)
        view = _View(
            winner=top[0],
            runner_up=top[1] if len(top) > 1 else None,
            sets=tuple(_sets(sets.leaves[i].tolist(), sets.probabilities[i].tolist(), taxonomy)),
            species=name,
            mass=_at_most_one(by_species[i, s]),
            pet=None if scores is None or restricted else float(scores[i, 0]),
            listed=float(listed[i, s]),
            thresholds=thresholds[name] if policy.pet is None else thresholds[name]._replace(pet=least[i]),
            grown=grown,
            few=grown >= 1 and policy.has_few(top[0][0], alpha),
            has_breeds=bool(taxonomy.tree[name]),
            max_level=max_level,
            restricted=restricted,
        )
        decisions.append(_decision(view, top[:top_k], int(best[i]), named[i], taxonomy))
    return decisions


def _sets(
    leaves: Sequence[int], probabilities: Sequence[float], taxonomy: Taxonomy
) -> Iterator[tuple[tuple[Leaf, ...], float]]:
    """The sets of two breeds and more of one photo."""
    for size in range(2, len(leaves) + 1):
        if leaves[size - 1] >= 0:
            yield tuple(taxonomy.leaves[k] for k in leaves[:size]), _at_most_one(probabilities[size - 1])


def _decision(
    view: _View, top: tuple[tuple[Leaf, float], ...], best: int, named: np.ndarray, taxonomy: Taxonomy
) -> Decision:
    """``best`` is the most probable leaf of the species, ``named`` [L] the probabilities of all."""
    answer = _back_off(view)
    breed = taxonomy.leaves[best].breed
    return Decision(
        level=answer.level,
        source=answer.source,
        species=view.species,
        species_probability=view.mass,
        breed=breed,
        breed_probability=_at_most_one(named[best]) if breed is not None else None,
        breeds=tuple((leaf, _at_most_one(named[taxonomy.leaf_index(*leaf)])) for leaf in answer.breeds),
        top=top,
        thresholds=view.thresholds._replace(probability=view.bound) if answer.level == "breed" else view.thresholds,
        listed=view.listed,
        reason=answer.reason,
        max_level=view.max_level,
    )


def _at_most_one(probability: float) -> float:
    """Sums of floats pass one by a rounding error."""
    return min(1.0, float(probability))


@dataclass(frozen=True)
class _View:
    """What backing off looks at: leaves with their probabilities, and ``sets`` of two breeds and more.

    ``grown`` is the winner's own threshold, 1 where it is never named; ``few``: for it has too few photos.
    """

    winner: tuple[Leaf, float]
    runner_up: tuple[Leaf, float] | None
    sets: tuple[tuple[tuple[Leaf, ...], float], ...]
    species: str
    mass: float
    pet: float | None
    listed: float
    thresholds: Thresholds
    grown: float
    few: bool
    has_breeds: bool
    max_level: MaxLevel
    restricted: bool

    @property
    def bound(self) -> float:
        """What the winner's probability must exceed to be named: a leaf that was grown has another threshold, too."""
        return max(self.thresholds.probability, self.grown)


class _Answer(NamedTuple):
    level: Level
    source: Source
    reason: str
    breeds: tuple[Leaf, ...] = ()


def _back_off(view: _View) -> _Answer:
    """The first node, from breed upwards, without an objection."""
    t = view.thresholds
    if view.pet is not None and t.pet is not None and view.pet < t.pet:
        score, least = _distinct(view.pet, t.pet, digits=2)
        why = say(
            "it looks like no pet of a known species: pet score {score}, threshold {least}", score=score, least=least
        )
        return _Answer("unknown", "not_a_known_pet", why)
    objection = _objection(view) if view.has_breeds else None
    if view.has_breeds and objection is None:
        why = _above(_name(view.winner[0]), view.winner[1], view.bound) + _runner_up(view)
        return _Answer("breed", "restricted" if view.restricted else "breed", why)
    mass, bound = _distinct(view.mass, t.probability)
    whole = say("{name} has probability {p}", name=_name(Leaf(view.species, None)), p=mass)
    if view.mass <= t.probability:
        return _Answer("unknown", "unknown", f"{whole}, {_not_above(bound, t)}")
    return _set_answer(view, objection) or _species_answer(view, objection, whole)


def _set_answer(view: _View, objection: str | None) -> _Answer | None:
    """The smallest set of breeds that is probable enough, if any is."""
    if view.max_level == "species" or view.grown >= 1:
        return None
    for breeds, probability in view.sets:
        if probability > view.thresholds.breed_set:
            together = say(" or ").join(map(_name, breeds))
            why = f"{objection}; {_above(together, probability, view.thresholds.breed_set)}"
            return _Answer("species", "breed_set", why, breeds)
    return None


def _species_answer(view: _View, objection: str | None, whole: str) -> _Answer:
    if not view.has_breeds:
        why = say("{whole} and no breeds to tell apart", whole=whole)
        return _Answer("species", "restricted" if view.restricted else "species", why)
    source: Source = "restricted" if view.restricted else "rolled_up_to_species"
    return _Answer("species", source, f"{objection}; {whole}")


def _objection(view: _View) -> str | None:
    """Why the breed is not named, or None."""
    t, (leaf, probability) = view.thresholds, view.winner
    if view.max_level == "species":
        return say("max_level is species")
    if view.grown >= 1:
        name, alpha = _name(leaf), number(f"{t.alpha:g}")
        if view.few:
            return say("{name} was grown from too few photos for a promise at alpha {alpha}", name=name, alpha=alpha)
        return say(
            "{name} was grown, and too many of the photos that calibrated it were certain and wrong for a promise at "
            "alpha {alpha}",
            name=name,
            alpha=alpha,
        )
    if leaf.species != view.species or probability <= view.bound:
        shown, bound = _distinct(probability, view.bound)
        listed = number(f"{view.listed:.2f}")
        doubt = say("its breed is a listed one with probability {p}; ", p=listed) if view.listed < UNLISTED else ""
        unsure = say("{name} has probability {p}", name=_name(leaf), p=shown)
        return f"{doubt}{unsure}, {_not_above(bound, t)}{_runner_up(view)}"
    return None


def _above(name: str, probability: float, bound: float) -> str:
    shown, least = _distinct(probability, bound)
    return say("{name} has probability {p}, above the threshold {least}", name=name, p=shown, least=least)


def _not_above(bound: str, thresholds: Thresholds) -> str:
    alpha = number(f"{thresholds.alpha:g}")
    if thresholds.probability >= 1:
        return say("and the photos that calibrated the model allow no promise at alpha {alpha}", alpha=alpha)
    return say("not above the threshold {least} (alpha {alpha})", least=bound, alpha=alpha)


def _runner_up(view: _View) -> str:
    if view.runner_up is None:
        return ""
    leaf, probability = view.runner_up
    return say("; next {name} {p}", name=_name(leaf), p=number(f"{probability:.3f}"))


def _name(leaf: Leaf) -> str:
    return local_name(*leaf) or str(leaf)


def _distinct(value: float, bound: float, *, digits: int = 3) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to see that they differ, and are not one (nine at most, and below
    one for whatever is).
    """
    value, bound = (min(one, LARGEST) if one < 1 else one for one in (value, bound))
    while True:
        shown = f"{value:.{digits}f}", f"{bound:.{digits}f}"
        hidden = value != bound and shown[0] == shown[1]
        rounded = any(one < 1 <= float(text) for one, text in zip((value, bound), shown, strict=True))
        if digits >= 9 or not (hidden or rounded):
            return number(shown[0]), number(shown[1])
        digits += 1
