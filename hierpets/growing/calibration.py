"""Thresholds of a grown bundle: those of before, and what the new photos say of themselves when they are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from hierpets.growing.bundle import OpenBundle
from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.hierarchy.calibration import Temperatures, fit_temperature
from hierpets.hierarchy.conformal import nonconformity_scores
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import joint_probabilities, species_probabilities
from hierpets.model.manifest import Manifest
from hierpets.model.ood import FLOOR
from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Leaf, Taxonomy
from hierpets.training.calibration import KNOWN_KEPT, PET_KEPT
from hierpets.training.frozen.fit import DISCRIMINANT
from hierpets.training.frozen.lda import lda_prior_shift

__all__ = ["Unseen", "grow_policy", "grow_temperatures", "predict_unseen"]

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

    A new species gets thresholds of its own on the two OOD scores, of the pet score only where it must be lower.
    """
    by_species = species_probabilities(joint, taxonomy)
    winner, labels = by_species.argmax(axis=1), unseen.labels
    known, pet = _known_thresholds(before, unseen, taxonomy), _pet_threshold(before, unseen, taxonomy)
    least = np.array([known.get(name, -np.inf) for name in taxonomy.species])
    scores = nonconformity_scores(
        joint.max(axis=1),
        by_species.max(axis=1),
        leaf_right=joint.argmax(axis=1) == labels.leaf,
        species_right=winner == labels.species,
        gated=unseen.scores[:, 1] < least[winner],
    )
    scores = np.where(unseen.scores[:, 0] < (-np.inf if pet is None else pet), 0.0, scores)
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
    return Policy(alpha=before.alpha, scores=by_name, pet=pet, known=known, leaves=leaves)


def _known_thresholds(before: Policy, unseen: Unseen, taxonomy: Taxonomy) -> dict[str, float]:
    """Those of before, and for a species that had none that of its new photos."""
    known = {name: least for name, least in before.known.items() if taxonomy.tree.get(name)}
    for s, name in enumerate(taxonomy.species):
        own = unseen.labels.species == s
        if name not in before.known and taxonomy.tree[name] and own.any():
            known[name] = float(np.quantile(unseen.scores[own, 1], 1 - KNOWN_KEPT))
    return known


def _pet_threshold(before: Policy, unseen: Unseen, taxonomy: Taxonomy) -> float | None:
    """That of before, or lower, where it would refuse more than a few photos of a new species."""
    if before.pet is None:
        return None
    new = [s for s, name in enumerate(taxonomy.species) if name not in before.scores]
    own = [unseen.scores[unseen.labels.species == s, 0] for s in new]
    return min([before.pet, *(float(np.quantile(scores, 1 - PET_KEPT)) for scores in own if len(scores))])


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
