"""Thresholds of a grown bundle: those of before, and what the new photos say of themselves when they are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from hierpets.growing.bundle import OpenBundle
from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.hierarchy.calibration import Temperatures, fit_temperature
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import joint_probabilities, species_probabilities
from hierpets.model.manifest import Manifest
from hierpets.model.ood import FLOOR
from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Leaf, Taxonomy
from hierpets.training.calibration import score_photos
from hierpets.training.frozen.fit import DISCRIMINANT
from hierpets.training.frozen.lda import lda_prior_shift

__all__ = ["Unseen", "grow_policy", "grow_temperatures", "predict_unseen"]

PET_KEPT_NEW = 0.99
"""Share of the photos of a new species that must count as pets."""

ENOUGH = 50  # photos of a new species, below which its breeds take the temperature of the others


@dataclass(frozen=True)
class Unseen:
    """What a grown bundle gives for M of the new photos without them: ``species`` [M, S] and ``leaf`` [M, L] logits,
    ``scores`` [M, 2], ``labels``, and the most probable leaves, ``answers``. ``rows`` int [M] are those of the photos.
    """

    rows: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    scores: np.ndarray
    labels: Labels
    answers: tuple[Leaf, ...] = ()

    def joint(self, manifest: Manifest, temperatures: Temperatures) -> np.ndarray:
        """Calibrated joint probabilities [M, L]."""
        logits = temperatures.apply(self.species, self.leaf, manifest.taxonomy)
        return joint_probabilities(*logits, manifest.taxonomy, combiner=manifest.combiner)


def predict_unseen(grown: OpenBundle, left: LeaveOneOut, labels: Labels) -> Unseen:
    """Leave each of the new photos out in turn; one that is alone in its class is not judged."""
    manifest, spec, tree = grown.manifest, grown.manifest.statistics, grown.manifest.taxonomy
    assert spec is not None
    rows = np.flatnonzero(left.judged)
    shift = lda_prior_shift(grown.statistics, tree, prior=spec.prior, combiner=manifest.combiner)
    species = left.by_species().logits(tuple(Leaf(name, None) for name in tree.species), spec.shrinkage)
    return Unseen(
        rows=rows,
        species=(species + shift.species)[rows],
        leaf=(left.logits(tree.leaves, spec.shrinkage) + shift.leaf)[rows],
        scores=_scores(grown, left)[rows],
        labels=replace(labels, species=labels.species[rows], leaf=labels.leaf[rows]),
    )


def grow_temperatures(before: Temperatures, unseen: Unseen, taxonomy: Taxonomy) -> Temperatures:
    """The temperatures of before; a species that has none gets its own from enough photos, else the mean of others."""
    others = [before.breeds[name] for name in taxonomy.species if name in before.breeds]
    mean = float(np.exp(np.mean(np.log(others)))) if others else 1.0
    breeds = {name: before.breeds[name] for name in taxonomy.species if name in before.breeds}
    for s, (name, columns) in enumerate(zip(taxonomy.species, taxonomy.slices, strict=True)):
        own = (unseen.labels.species == s) & (unseen.labels.leaf != UNKNOWN_LEAF)
        if name not in breeds:
            fitted = fit_temperature(unseen.leaf[own, columns], unseen.labels.leaf[own] - columns.start)
            breeds[name] = fitted if own.sum() >= ENOUGH else mean
    return Temperatures(species=before.species, breeds=breeds)


def grow_policy(before: Policy, unseen: Unseen, joint: np.ndarray, grown: set[Leaf], taxonomy: Taxonomy) -> Policy:
    """The policy of before with what the new photos add: their nonconformity scores in those of their species, and for
    each leaf of ``grown`` those of its own photos. ``joint`` [M, L].

    What is known of the other breeds of a species stays; of a new species nothing is, so its breeds count as listed. It
    lowers the threshold of pets where that would refuse it.
    """
    winner, labels = species_probabilities(joint, taxonomy).argmax(axis=1), unseen.labels
    listed = {name: curve for name, curve in before.listed.items() if taxonomy.tree.get(name)}
    unlisted = {name: scores for name, scores in before.unlisted.items() if taxonomy.tree.get(name)}
    after = Policy(alpha=before.alpha, pet=_pet_threshold(before, unseen, taxonomy), listed=listed, unlisted=unlisted)
    scores = score_photos(after, joint, unseen.scores, labels, taxonomy)
    judged = labels.leaf != UNKNOWN_LEAF
    by_name = {
        name: _ascending(before.scores.get(name, ()), scores[judged & (winner == s)])
        for s, name in enumerate(taxonomy.species)
    }
    leaves = {
        str(leaf): _ascending(before.leaves.get(str(leaf), ()), scores[labels.leaf == at])
        for at, leaf in enumerate(taxonomy.leaves)
        if leaf in grown
    }
    return after.model_copy(update={"scores": by_name, "leaves": leaves})


def _pet_threshold(before: Policy, unseen: Unseen, taxonomy: Taxonomy) -> float | None:
    """That of before, or lower, where it would refuse more than a few photos of a new species."""
    if before.pet is None:
        return None
    new = [s for s, name in enumerate(taxonomy.species) if name not in before.scores]
    own = [unseen.scores[unseen.labels.species == s, 0] for s in new]
    return min([before.pet, *(float(np.quantile(scores, 1 - PET_KEPT_NEW)) for scores in own if len(scores))])


def _scores(grown: OpenBundle, left: LeaveOneOut) -> np.ndarray:
    """The OOD scores [N, 2] of photos that the statistics did not see."""
    known, scorer = grown.statistics, grown.scorer
    with torch.inference_mode():
        mass = scorer.signals(torch.from_numpy(left.features.astype(np.float32))).species_mass
    discriminant = left.logits(known.leaves, DISCRIMINANT.shrinkage).max(axis=1)
    profile = np.log(left.profile() + FLOOR) if left.profiles.shape[1] else np.zeros(len(left.rows))
    columns = [torch.from_numpy(c.astype(np.float32)) for c in (left.cosine(), discriminant, profile)]
    return scorer.combine(torch.stack([*columns, mass], dim=1)).numpy()


def _ascending(*scores: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(round(float(score), 6) for part in scores for score in part))
