"""Decide predictions from joint probabilities: back off from breed to species to "unknown", and give the reason."""

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

__all__ = ["UNLISTED", "Decision", "Level", "MaxLevel", "Source", "decide", "named_probabilities", "pet_thresholds"]

UNLISTED = 0.5
"""Below this probability of being listed, a breed counts as not recognized."""

LARGEST_BELOW_ONE = 1 - 1e-9  # as a reason shows it, with nine digits

Level = Literal["breed", "species", "unknown"]
MaxLevel = Literal["breed", "species"]
Source = Literal["breed", "species", "breed_set", "rolled_up_to_species", "unknown", "not_a_known_pet", "restricted"]


@dataclass(frozen=True)
class Decision:
    """The prediction for one photo. ``species`` and ``breed`` are the most probable ones, whatever the level.

    ``breeds`` are the breeds that the answer leaves open, where no single breed is probable enough but a few together
    are. ``listed`` is the probability that the photo's breed is a listed one. All breed probabilities, those in ``top``
    too, are multiplied by it; the rest of the species' probability belongs to unlisted breeds. ``max_level`` is the
    finest level that was requested.
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
    """Probability of every leaf when the breed may also be an unlisted one, float [N, L].

    ``joint`` [N, L] are the probabilities among the leaves alone. Those of breeds are multiplied by ``listed`` [N, S],
    the probability for each species that the breed is a listed one.
    """
    return np.where(taxonomy.is_breed, joint * listed[:, taxonomy.leaf_species], joint)


def pet_thresholds(policy: Policy, named: np.ndarray, taxonomy: Taxonomy, others: np.ndarray) -> np.ndarray:
    """Lowest pet score at which each of N photos still counts as a pet, float [N].

    It is the threshold of the policy, or minus infinity if the policy has none. It is lower by :data:`PET_SCORE_BAND`
    where the best leaf is a breed with a probability of at least :data:`SURE_BREED` in ``named`` [N, L]. That
    probability counts only for species whose unlisted breeds the model has learned to recognize, ``others`` bool [S].
    """
    best = named.argmax(axis=1)
    sure = taxonomy.is_breed[best] & others[taxonomy.leaf_species[best]] & (named.max(axis=1) >= SURE_BREED)
    threshold = -np.inf if policy.pet is None else policy.pet
    return np.where(sure, threshold - PET_SCORE_BAND, threshold)


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
    """Decide the answer for each of N photos: a breed, a few breeds, the species, or "unknown".

    The thresholds are those of the most probable species, by the sum of its leaves. A photo whose pet score is below
    :func:`pet_thresholds` is unknown. Otherwise the answer is the first of these whose probability exceeds its
    threshold: the most probable breed, the two most probable breeds of the species together, the three most probable
    ones, the species; else "unknown". Breed probabilities are multiplied by the probability that the breed is listed.

    :param joint: float [N, L], joint probabilities of the leaves.
    :param scores: float [N, 1 + S], the pet score (lower for a photo less like a pet of a known species) and, for each
        species, the probability that the breed is a listed one, given that species. None: no photo is refused, and
        every breed counts as listed.
    :param max_set: the most breeds that an answer may leave open.
    :param unrestricted: float [N, L], ``joint`` before the caller restricted the classes; None without a restriction.
        Under a restriction every photo counts as one of a pet.
    :param closed: bool [S], the species whose possible breeds the caller named: their breed counts as listed.
    :param thresholds: the thresholds of each species at one alpha and ``max_set``; default: at the policy's alpha.
    """
    restricted = unrestricted is not None
    listed = (np.ones((len(joint), len(taxonomy.species))) if scores is None else scores[:, 1:]).astype(np.float64)
    unrestricted_named = named_probabilities(joint if unrestricted is None else unrestricted, listed, taxonomy)
    if closed is not None:
        listed = np.where(closed, 1.0, listed)
    named = named_probabilities(joint, listed, taxonomy) if restricted else unrestricted_named
    by_species = species_probabilities(joint, taxonomy)
    winner = by_species.argmax(axis=1)
    best = np.where(taxonomy.leaf_species == winner[:, None], joint, -1.0).argmax(axis=1)
    order = np.lexsort((-joint, -named))[:, : max(2, top_k)]
    sets = breed_sets(named, winner, taxonomy, max_set)
    if thresholds is None:
        thresholds = {name: policy.thresholds(name, max_set=max_set) for name in taxonomy.species}
    # By the unrestricted probabilities: a restriction does not make a breed surer.
    pets = pet_thresholds(policy, unrestricted_named, taxonomy, policy.knows_others(taxonomy.species)).tolist()
    decisions = []
    for i, s in enumerate(winner.tolist()):
        name = taxonomy.species[s]
        top = tuple((taxonomy.leaves[k], _at_most_one(named[i, k])) for k in order[i].tolist())
        alpha = thresholds[name].alpha
        leaf_threshold = policy.leaf_probability(top[0][0], alpha)
        evidence = _Evidence(
            winner=top[0],
            runner_up=top[1] if len(top) > 1 else None,
            sets=tuple(_sets(sets.leaves[i].tolist(), sets.probabilities[i].tolist(), taxonomy)),
            species=name,
            species_probability=_at_most_one(by_species[i, s]),
            pet_score=None if scores is None or restricted else float(scores[i, 0]),
            listed=float(listed[i, s]),
            thresholds=thresholds[name] if policy.pet is None else thresholds[name]._replace(pet=pets[i]),
            leaf_threshold=leaf_threshold,
            has_few=leaf_threshold >= 1 and policy.has_few(top[0][0], alpha),
            has_breeds=bool(taxonomy.tree[name]),
            max_level=max_level,
            restricted=restricted,
        )
        decisions.append(_decision(evidence, top[:top_k], int(best[i]), named[i], taxonomy))
    return decisions


def _sets(
    leaves: Sequence[int], probabilities: Sequence[float], taxonomy: Taxonomy
) -> Iterator[tuple[tuple[Leaf, ...], float]]:
    """The sets of two or more breeds of one photo, each with its probability."""
    for size in range(2, len(leaves) + 1):
        if leaves[size - 1] >= 0:
            yield tuple(taxonomy.leaves[k] for k in leaves[:size]), _at_most_one(probabilities[size - 1])


def _decision(
    evidence: _Evidence, top: tuple[tuple[Leaf, float], ...], best: int, named: np.ndarray, taxonomy: Taxonomy
) -> Decision:
    """``best`` is the most probable leaf of the species, ``named`` [L] are the probabilities of all leaves."""
    answer = _back_off(evidence)
    thresholds = evidence.thresholds
    breed = taxonomy.leaves[best].breed
    return Decision(
        level=answer.level,
        source=answer.source,
        species=evidence.species,
        species_probability=evidence.species_probability,
        breed=breed,
        breed_probability=_at_most_one(named[best]) if breed is not None else None,
        breeds=tuple((leaf, _at_most_one(named[taxonomy.leaf_index(*leaf)])) for leaf in answer.breeds),
        top=top,
        thresholds=thresholds._replace(probability=evidence.bound) if answer.level == "breed" else thresholds,
        listed=evidence.listed,
        reason=answer.reason,
        max_level=evidence.max_level,
    )


def _at_most_one(probability: float) -> float:
    """Clip a sum of floats, which may exceed 1 by a rounding error."""
    return min(1.0, float(probability))


@dataclass(frozen=True)
class _Evidence:
    """All that the answer for one photo depends on.

    ``winner`` and ``runner_up`` are the most probable leaves; ``sets`` are sets of two or more breeds of the most
    probable ``species``. ``leaf_threshold`` is the winner's own threshold if it was grown, else 0; it is 1 if the
    winner is never named, and ``has_few`` says whether that is for lack of photos.
    """

    winner: tuple[Leaf, float]
    runner_up: tuple[Leaf, float] | None
    sets: tuple[tuple[tuple[Leaf, ...], float], ...]
    species: str
    species_probability: float
    pet_score: float | None
    listed: float
    thresholds: Thresholds
    leaf_threshold: float
    has_few: bool
    has_breeds: bool
    max_level: MaxLevel
    restricted: bool

    @property
    def bound(self) -> float:
        """The threshold of the winner: the higher one of its species' and its own."""
        return max(self.thresholds.probability, self.leaf_threshold)


class _Answer(NamedTuple):
    level: Level
    source: Source
    reason: str
    breeds: tuple[Leaf, ...] = ()


def _back_off(evidence: _Evidence) -> _Answer:
    """The finest answer that is probable enough."""
    t = evidence.thresholds
    if evidence.pet_score is not None and t.pet is not None and evidence.pet_score < t.pet:
        score, threshold = _distinct(evidence.pet_score, t.pet, digits=2)
        why = say(
            "it looks like no pet of a known species: pet score {score}, threshold {threshold}",
            score=score,
            threshold=threshold,
        )
        return _Answer("unknown", "not_a_known_pet", why)
    objection = _objection(evidence) if evidence.has_breeds else None
    if evidence.has_breeds and objection is None:
        why = _above(_name(evidence.winner[0]), evidence.winner[1], evidence.bound) + _runner_up(evidence)
        return _Answer("breed", "restricted" if evidence.restricted else "breed", why)
    shown, bound = _distinct(evidence.species_probability, t.probability)
    species_text = say("{name} has probability {p}", name=_name(Leaf(evidence.species, None)), p=shown)
    if evidence.species_probability <= t.probability:
        return _Answer("unknown", "unknown", f"{species_text}, {_not_above(bound, t)}")
    return _set_answer(evidence, objection) or _species_answer(evidence, objection, species_text)


def _set_answer(evidence: _Evidence, objection: str | None) -> _Answer | None:
    """The answer with the smallest set of breeds that is probable enough; None if none is."""
    if evidence.max_level == "species" or evidence.leaf_threshold >= 1:
        return None
    for breeds, probability in evidence.sets:
        if probability > evidence.thresholds.breed_set:
            together = say(" or ").join(map(_name, breeds))
            why = f"{objection}; {_above(together, probability, evidence.thresholds.breed_set)}"
            return _Answer("species", "breed_set", why, breeds)
    return None


def _species_answer(evidence: _Evidence, objection: str | None, species_text: str) -> _Answer:
    if not evidence.has_breeds:
        why = say("{whole} and no breeds to tell apart", whole=species_text)
        return _Answer("species", "restricted" if evidence.restricted else "species", why)
    source: Source = "restricted" if evidence.restricted else "rolled_up_to_species"
    return _Answer("species", source, f"{objection}; {species_text}")


def _objection(evidence: _Evidence) -> str | None:
    """Why no single breed is named; None if one is."""
    t, (leaf, probability) = evidence.thresholds, evidence.winner
    if evidence.max_level == "species":
        return say("max_level is species")
    if evidence.leaf_threshold >= 1:
        name, alpha = _name(leaf), number(f"{t.alpha:g}")
        if evidence.has_few:
            return say("{name} was grown from too few photos for a promise at alpha {alpha}", name=name, alpha=alpha)
        return say(
            "{name} was grown, and too many of the photos that calibrated it were certain and wrong for a promise at "
            "alpha {alpha}",
            name=name,
            alpha=alpha,
        )
    if leaf.species != evidence.species or probability <= evidence.bound:
        shown, bound = _distinct(probability, evidence.bound)
        doubt = ""
        if evidence.listed < UNLISTED:
            doubt = say("its breed is a listed one with probability {p}; ", p=number(f"{evidence.listed:.2f}"))
        unsure = say("{name} has probability {p}", name=_name(leaf), p=shown)
        return f"{doubt}{unsure}, {_not_above(bound, t)}{_runner_up(evidence)}"
    return None


def _above(name: str, probability: float, bound: float) -> str:
    shown, threshold = _distinct(probability, bound)
    return say("{name} has probability {p}, above the threshold {threshold}", name=name, p=shown, threshold=threshold)


def _not_above(bound: str, thresholds: Thresholds) -> str:
    alpha = number(f"{thresholds.alpha:g}")
    if thresholds.probability >= 1:
        return say("and the photos that calibrated the model allow no promise at alpha {alpha}", alpha=alpha)
    return say("not above the threshold {threshold} (alpha {alpha})", threshold=bound, alpha=alpha)


def _runner_up(evidence: _Evidence) -> str:
    if evidence.runner_up is None:
        return ""
    leaf, probability = evidence.runner_up
    return say("; next {name} {p}", name=_name(leaf), p=number(f"{probability:.3f}"))


def _name(leaf: Leaf) -> str:
    return local_name(*leaf) or str(leaf)


def _distinct(value: float, bound: float, *, digits: int = 3) -> tuple[str, str]:
    """Format both numbers with enough digits to tell them apart, nine at most; none below 1 is rounded to 1."""
    value, bound = (min(one, LARGEST_BELOW_ONE) if one < 1 else one for one in (value, bound))
    while True:
        shown = f"{value:.{digits}f}", f"{bound:.{digits}f}"
        hidden = value != bound and shown[0] == shown[1]
        rounded = any(one < 1 <= float(text) for one, text in zip((value, bound), shown, strict=True))
        if digits >= 9 or not (hidden or rounded):
            return number(shown[0]), number(shown[1])
        digits += 1
