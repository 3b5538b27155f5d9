"""Temperatures and thresholds, fitted to photos that the model was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hierpets.errors import ConfigError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.conformal import nonconformity_scores
from hierpets.hierarchy.decision import Decision, Scores, decide
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import Combiner, joint_probabilities, species_probabilities
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.held_out import HeldOutOutputs
from hierpets.training.trained import Trained

__all__ = ["Calibrated", "HeldOutPredictions", "calibrate", "calibrate_trained", "cross_predict", "fit_policy"]

PET_KEPT = 0.99
"""Share of photos of breeds held out of training that must still count as pets."""

KNOWN_KEPT = 0.85
"""Share of photos of known breeds that must still look like a known breed: at least three quarters are to be named."""


class HeldOutPredictions(NamedTuple):
    """Joint probabilities float64 [N, L] and decisions of N photos."""

    joint: np.ndarray
    decisions: list[Decision]


@dataclass(frozen=True)
class Calibrated:
    """What turns logits and OOD scores into a prediction that can be trusted."""

    taxonomy: Taxonomy
    combiner: Combiner
    temperatures: Temperatures
    policy: Policy

    def joint(self, outputs: HeldOutOutputs) -> np.ndarray:
        """Calibrated joint probabilities float64 [N, L]."""
        logits = self.temperatures.apply(outputs.species_logits, outputs.leaf_logits, self.taxonomy)
        return joint_probabilities(*logits, self.taxonomy, combiner=self.combiner)

    def predict(self, outputs: HeldOutOutputs) -> HeldOutPredictions:
        """The predictions for N photos."""
        joint = self.joint(outputs)
        rows = zip(joint, outputs.scores.tolist(), strict=True)
        return HeldOutPredictions(
            joint, [decide(row, self.taxonomy, self.policy, scores=Scores(*scores)) for row, scores in rows]
        )


def calibrate_trained(trained: Trained, *, combiner: Combiner, alpha: float) -> Calibrated:
    """Calibrate on the first photos that were held out.

    :raises ConfigError: there are none.
    """
    outputs = next((part for part in trained.held_out.values() if len(part)), None)
    if outputs is None:
        raise ConfigError("too few photos to hold any out for calibration; add photos, at least two per class")
    return calibrate(
        outputs,
        trained.held_out_breed_scores,
        taxonomy=trained.network.taxonomy,
        combiner=combiner,
        alpha=alpha,
    )


def calibrate(
    outputs: HeldOutOutputs,
    held_out_breed_scores: np.ndarray,
    *,
    taxonomy: Taxonomy,
    combiner: Combiner,
    alpha: float,
) -> Calibrated:
    """Fit temperatures and thresholds.

    ``held_out_breed_scores`` float [M, 2] are the scores of photos whose breed was held out of training; where M is 0
    the pets of the training set stand in for them. ``alpha`` is the target error rate.
    """
    uncut = Calibrated(taxonomy, combiner, outputs.temperatures(taxonomy), Policy(alpha=alpha))
    policy = fit_policy(outputs, uncut.joint(outputs), held_out_breed_scores, taxonomy=taxonomy, alpha=alpha)
    return replace(uncut, policy=policy)


def fit_policy(
    outputs: HeldOutOutputs,
    joint: np.ndarray,
    held_out_breed_scores: np.ndarray,
    *,
    taxonomy: Taxonomy,
    alpha: float,
) -> Policy:
    """Thresholds on the two OOD scores, then the nonconformity scores of what those accept. ``joint`` [N, L]."""
    by_species = species_probabilities(joint, taxonomy)
    winner = by_species.argmax(axis=1)
    pet_scores, known_scores = outputs.scores.T
    accepted = held_out_breed_scores[:, 0] if len(held_out_breed_scores) else pet_scores
    pet = float(np.quantile(accepted, 1 - PET_KEPT))
    known = _known_thresholds(known_scores, winner, taxonomy)
    least = np.array([known.get(name, -np.inf) for name in taxonomy.species])
    scores = nonconformity_scores(
        joint.max(axis=1),
        by_species.max(axis=1),
        leaf_right=joint.argmax(axis=1) == outputs.labels.leaf,
        species_right=winner == outputs.labels.species,
        gated=known_scores < least[winner],
    )
    scores = np.where(pet_scores < pet, 0.0, scores)
    # Whether a named breed is right is not known where the label has none.
    judged = outputs.labels.leaf != UNKNOWN_LEAF
    by_name = {
        name: tuple(np.sort(np.round(scores[judged & (winner == s)], 6)).tolist())
        for s, name in enumerate(taxonomy.species)
    }
    return Policy(alpha=alpha, scores=by_name, pet=pet, known=known)


def _known_thresholds(known_scores: np.ndarray, winner: np.ndarray, taxonomy: Taxonomy) -> dict[str, float]:
    """For each species that has breeds and photos: the least score at which a photo counts as of a known breed."""
    return {
        name: float(np.quantile(known_scores[winner == s], 1 - KNOWN_KEPT))
        for s, name in enumerate(taxonomy.species)
        if taxonomy.tree[name] and (winner == s).any()
    }


def cross_predict(
    outputs: HeldOutOutputs, held_out_breed_scores: np.ndarray, calibrated: Calibrated, folds: np.ndarray
) -> HeldOutPredictions:
    """Predictions for each photo under temperatures and thresholds fitted to the other folds (int [N])."""
    joint = np.zeros((len(outputs), len(calibrated.taxonomy.leaves)))
    decisions: dict[int, Decision] = {}
    for fold in np.unique(folds):
        others = calibrate(
            outputs.where(folds != fold),
            held_out_breed_scores,
            taxonomy=calibrated.taxonomy,
            combiner=calibrated.combiner,
            alpha=calibrated.policy.alpha,
        )
        rows = np.flatnonzero(folds == fold)
        joint[rows], decided = others.predict(outputs.where(folds == fold))
        decisions |= dict(zip(rows.tolist(), decided, strict=True))
    return HeldOutPredictions(joint, [decisions[i] for i in range(len(outputs))])
