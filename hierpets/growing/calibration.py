"""Calibration of a grown bundle: the old one, extended by leave-one-out predictions for the new photos."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from hierpets.growing.leave_one_out import LeaveOneOutLogits, LeaveOneOutPredictions
from hierpets.hierarchy.calibration import Temperatures, fit_temperature
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import most_probable_species
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.calibration import one_of_each, rounded_up, score_photos, score_rows

__all__ = ["grow_policy", "grow_temperatures", "lacking_pet_score"]

PET_KEPT_NEW = 0.95
"""Share of the photos of a grown species predicted as it that must pass as pets. With 0.99, one odd photo of a few
would decide how many animals of other species pass as it (docs/experiments.md).
"""


def grow_temperatures(
    before: Temperatures, known: Taxonomy, logits: LeaveOneOutLogits, taxonomy: Taxonomy
) -> Temperatures:
    """The old temperatures, and new ones for species that have two leaves for the first time.

    A new temperature is fitted to the new photos, near the (geometric) mean of the others if these photos are few. A
    species with one leaf has no breed probabilities to calibrate. ``known`` and ``taxonomy`` are the taxonomies of the
    leaves that have photos, before and now.
    """
    breeds = {name: before.breeds[name] for name, leaves in known.tree.items() if len(leaves) > 1}
    mean = float(np.exp(np.mean(np.log([*breeds.values()])))) if breeds else 1.0
    for s, (name, columns) in enumerate(zip(taxonomy.species, taxonomy.slices, strict=True)):
        own = (logits.labels.species == s) & logits.labels.breed_known
        if name not in breeds and len(taxonomy.tree[name]) > 1:
            breeds[name] = fit_temperature(logits.leaf[own, columns], logits.labels.leaf[own] - columns.start, mean)
    return Temperatures(species=before.species, breeds=breeds)


def grow_policy(before: Policy, predictions: LeaveOneOutPredictions, new: set[Leaf], taxonomy: Taxonomy) -> Policy:
    """The old policy, extended by the nonconformity scores of the new photos.

    They are added to the scores of the predicted species and, for each leaf that is ``new`` or was new in an earlier
    growth, to those of the leaf. A leaf known from pretraining gets no threshold of its own: it was named before it had
    photos. The scores of unlisted breeds stay; a new species has none, so all its photos count as of listed breeds.
    """
    rows = one_of_each(predictions.labels)
    joint, labels = predictions.joint[rows], predictions.labels.where(rows)
    scores = score_photos(
        before, joint, predictions.scores[rows], labels, taxonomy, before.knows_others(taxonomy.species)
    )
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
    return before.model_copy(update={"scores": before.scores | {"trained": trained}, "leaves": leaves})


def lacking_pet_score(
    policy: Policy, predictions: LeaveOneOutPredictions, grown: Collection[str], taxonomy: Taxonomy
) -> np.ndarray:
    """By how much the pet scores of photos predicted as each species must be raised so that few photos of the species
    are refused, float [S].

    It is 0 for species that are not ``grown``, and where few are refused anyway.
    """
    lacking = np.zeros(len(taxonomy.species))
    winner = most_probable_species(predictions.joint, taxonomy)
    for s, name in enumerate(taxonomy.species):
        own = predictions.scores[(predictions.labels.species == s) & (winner == s), 0]
        if name in grown and policy.pet is not None and len(own):
            lacking[s] = max(0.0, policy.pet - float(np.quantile(own, 1 - PET_KEPT_NEW)))
    return lacking


def _ascending(*scores: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(rounded_up(np.array([score for part in scores for score in part])).tolist()))
