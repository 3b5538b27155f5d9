"""Thresholds of a grown bundle: those of before, and what the new photos say of themselves when they are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hierpets.bundle.manifest import Manifest
from hierpets.growing.bundle import OpenBundle
from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.growing.network import OpenNetwork
from hierpets.hierarchy.calibration import Temperatures, fit_temperature
from hierpets.hierarchy.early import Outputs, ask_in_turn
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import most_probable_species
from hierpets.model.network import mix_breeds
from hierpets.model.ood import Evidence
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.calibration import one_of_each, rounded_up, score_photos, score_rows
from hierpets.training.frozen.fitter import DISCRIMINANT
from hierpets.training.frozen.lda import lda_prior_shift

__all__ = ["LeftOut", "Unseen", "answer_together", "grow_policy", "grow_temperatures", "judge", "leave_out"]

PET_KEPT_NEW = 0.99
"""Share of the photos of a new species that must count as pets."""


@dataclass(frozen=True)
class LeftOut:
    """What heads and OOD scorer of a network give for M of the new photos without them: ``species`` [M, S] and ``leaf``
    [M, T] logits, their ``evidence`` and ``labels`` among the leaves that have photos. ``rows`` int [M] are those of
    the photos.
    """

    rows: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    evidence: Evidence
    labels: Labels


@dataclass(frozen=True)
class Unseen:
    """What a grown bundle gives for M of the new photos without them: calibrated ``joint`` probabilities [M, L],
    ``scores`` [M, 1 + S], ``labels``, and the most probable leaves, ``answers``. ``rows`` int [M] are those of the
    photos.
    """

    rows: np.ndarray
    joint: np.ndarray
    scores: np.ndarray
    labels: Labels
    answers: tuple[Leaf, ...]


def leave_out(grown: OpenNetwork, left: LeaveOneOut, labels: Labels) -> LeftOut:
    """Leave each of the new animals out in turn; one that is alone in its class is not judged."""
    spec, tree = grown.spec, grown.statistics.taxonomy
    rows = np.flatnonzero(left.judged)
    shift = lda_prior_shift(grown.statistics, tree, prior=spec.prior, combiner=grown.manifest.combiner)
    species = left.by_species().logits(tuple(Leaf(name, None) for name in tree.species), spec.shrinkage)
    return LeftOut(
        rows=rows,
        species=(species + shift.species)[rows],
        leaf=(left.logits(tree.leaves, spec.shrinkage) + shift.leaf)[rows],
        evidence=_evidence(grown, left).where(rows),
        labels=labels.where(rows),
    )


def judge(grown: OpenBundle, left: Sequence[LeftOut]) -> Unseen:
    """What the networks, of which each was left the same photos out, answer together."""
    outputs = [
        Outputs(own.species, *mix_breeds(network.scorer, network.mixture, own.leaf, own.evidence))
        for network, own in zip(grown.networks, left, strict=True)
    ]
    joint, scores = answer_together(grown.manifest, outputs)
    answers = tuple(grown.manifest.taxonomy.leaves[best] for best in joint.argmax(axis=1).tolist())
    return Unseen(left[-1].rows, joint, scores, grown.main.breeds.relabel(left[-1].labels), answers)


def answer_together(manifest: Manifest, outputs: Sequence[Outputs]) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated joint probabilities float64 [N, L] and scores [N, 1 + S] of photos that every network was asked about,
    as they would be if each was asked in its turn.
    """
    (*early, main), tree, combiner = outputs, manifest.taxonomy, manifest.combiner
    temperatures = manifest.temperatures
    found, _ = ask_in_turn(
        early,
        main,
        tree,
        asked=manifest.early,
        learned=manifest.learned,
        temperatures=temperatures,
        combiner=combiner,
    )
    return temperatures.joint(found.species, found.leaf, tree, combiner=combiner), found.scores


def grow_temperatures(before: Temperatures, known: Taxonomy, left: LeftOut, taxonomy: Taxonomy) -> Temperatures:
    """The temperatures of before; a species that has two leaves for the first time gets its own from the new photos,
    near the mean of the others where these are few. With one leaf nothing is divided, and its temperature says nothing.

    ``known`` and ``taxonomy`` are those of the leaves that have photos, before and now.
    """
    breeds = {name: before.breeds[name] for name, leaves in known.tree.items() if len(leaves) > 1}
    mean = float(np.exp(np.mean(np.log([*breeds.values()])))) if breeds else 1.0
    for s, (name, columns) in enumerate(zip(taxonomy.species, taxonomy.slices, strict=True)):
        own = (left.labels.species == s) & left.labels.breed_known
        if name not in breeds and len(taxonomy.tree[name]) > 1:
            breeds[name] = fit_temperature(left.leaf[own, columns], left.labels.leaf[own] - columns.start, mean)
    return Temperatures(species=before.species, breeds=breeds)


def grow_policy(before: Policy, unseen: Unseen, new: set[Leaf], taxonomy: Taxonomy) -> Policy:
    """The policy of before with what the new photos add: their nonconformity scores in those of their species, and for
    each leaf that is ``new``, or was in an earlier growth, those of its own photos.

    A leaf known from pretraining has no threshold of its own, and gets none: it was named before it had photos.
    What is known of the other breeds of a species stays; of a new species nothing is, so its breeds count as listed. It
    lowers the threshold of pets where that would refuse it.
    """
    after = before.model_copy(update={"pet": _pet_threshold(before, unseen, taxonomy)})
    rows = one_of_each(unseen.labels)
    joint, labels = unseen.joint[rows], unseen.labels.where(rows)
    scores = score_photos(after, joint, unseen.scores[rows], labels, taxonomy, before.knows_others(taxonomy.species))
    winner = most_probable_species(joint, taxonomy)
    judged = labels.breed_known
    trained = {
        name: score_rows(np.array([*before.of("trained").get(name, ()), *scores[judged & (winner == s)]]))
        for s, name in enumerate(taxonomy.species)
    }
    leaves = {
        str(leaf): _ascending(before.leaves.get(str(leaf), ()), scores[labels.leaf == at, 0])
        for at, leaf in enumerate(taxonomy.leaves)
        if leaf in new or str(leaf) in before.leaves
    }
    return after.model_copy(update={"scores": before.scores | {"trained": trained}, "leaves": leaves})


def _pet_threshold(before: Policy, unseen: Unseen, taxonomy: Taxonomy) -> float | None:
    """That of before, or lower, where it would refuse more than a few photos of a new species."""
    if before.pet is None:
        return None
    new = [s for s, name in enumerate(taxonomy.species) if name not in before.of("trained")]
    own = [unseen.scores[unseen.labels.species == s, 0] for s in new]
    return min([before.pet, *(float(np.quantile(scores, 1 - PET_KEPT_NEW)) for scores in own if len(scores))])


def _evidence(grown: OpenNetwork, left: LeaveOneOut) -> Evidence:
    """The evidence of photos that the statistics did not see."""
    leaves = grown.statistics.leaves
    scores, cosine = left.logits(leaves, DISCRIMINANT.shrinkage), left.cosine()
    others = (left.profile(), left.profiles) if left.profiles.shape[1] else (None, None)
    tables = [None if t is None else torch.from_numpy(t.astype(np.float32)) for t in (scores, cosine, *others)]
    with torch.inference_mode():
        return grown.scorer.weigh(*tables)  # type: ignore[arg-type]


def _ascending(*scores: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(rounded_up(np.array([score for part in scores for score in part])).tolist()))
