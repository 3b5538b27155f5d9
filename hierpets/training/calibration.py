"""Temperatures and thresholds, fitted to photos that the model was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hierpets.errors import ConfigError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.conformal import nonconformity_scores
from hierpets.hierarchy.decision import Decision, Scores, decide
from hierpets.hierarchy.policy import LISTED, Listed, Policy
from hierpets.hierarchy.probabilities import Combiner, joint_probabilities, species_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.held_out import HeldOutOutputs
from hierpets.training.trained import Trained

__all__ = [
    "Calibrated",
    "HeldOutPredictions",
    "calibrate",
    "calibrate_trained",
    "cross_predict",
    "fit_policy",
    "score_photos",
]

PET_KEPT = 0.95
"""Share of photos of breeds held out of training that must still count as pets. A fifth of the breeds is held out at a
time, so that they look less like pets than those of one breed that nobody listed: of real ones, fewer are refused
(docs/experiments.md)."""

ENOUGH_UNLISTED = 20
"""Photos of held-out breeds of a species that it takes to know what an unlisted one looks like."""


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
        trained.unlisted,
        taxonomy=trained.network.taxonomy,
        combiner=combiner,
        alpha=alpha,
    )


def calibrate(
    outputs: HeldOutOutputs,
    unlisted: HeldOutOutputs | None,
    *,
    taxonomy: Taxonomy,
    combiner: Combiner,
    alpha: float,
) -> Calibrated:
    """Fit temperatures and thresholds.

    Where no breed was held out (``unlisted`` is None), the pets of the training set stand in for other pets, and every
    breed counts as listed. ``alpha`` is the target error rate.
    """
    uncut = Calibrated(taxonomy, combiner, outputs.temperatures(taxonomy), Policy(alpha=alpha))
    return replace(uncut, policy=fit_policy(outputs, unlisted, uncut))


def fit_policy(outputs: HeldOutOutputs, unlisted: HeldOutOutputs | None, uncut: Calibrated) -> Policy:
    """The threshold of pets, the probability of being listed, then the nonconformity scores of what follows from both.

    ``uncut`` has the temperatures and alpha.
    """
    taxonomy, joint = uncut.taxonomy, uncut.joint(outputs)
    winner = species_probabilities(joint, taxonomy).argmax(axis=1)
    others = outputs if unlisted is None else unlisted
    pet = float(np.quantile(others.scores[:, 0], 1 - PET_KEPT))
    curves = {} if unlisted is None else _fit_listed(outputs.scores[:, 1], winner, unlisted, taxonomy)
    policy = Policy(alpha=uncut.policy.alpha, pet=pet, listed=curves)
    # Whether a named breed is right is not known where the label has none.
    known = outputs.where(outputs.labels.leaf != UNKNOWN_LEAF)
    scores = _scores_by_species(policy, uncut.joint(known), known, taxonomy)
    if unlisted is None:
        return policy.model_copy(update={"scores": scores})
    wrong = _scores_by_species(policy, uncut.joint(unlisted), unlisted, taxonomy)
    return policy.model_copy(update={"scores": scores, "unlisted": wrong})


def _scores_by_species(
    policy: Policy, joint: np.ndarray, outputs: HeldOutOutputs, taxonomy: Taxonomy
) -> dict[str, tuple[float, ...]]:
    """The sorted nonconformity scores by the most probable species."""
    scores = score_photos(policy, joint, outputs.scores, outputs.labels, taxonomy)
    winner = species_probabilities(joint, taxonomy).argmax(axis=1)
    return {name: tuple(np.sort(np.round(scores[winner == s], 6)).tolist()) for s, name in enumerate(taxonomy.species)}


def score_photos(
    policy: Policy, joint: np.ndarray, ood_scores: np.ndarray, labels: Labels, taxonomy: Taxonomy
) -> np.ndarray:
    """The nonconformity scores float [N] of labeled photos under a policy: ``joint`` [N, L], ``ood_scores`` [N, 2]."""
    by_species = species_probabilities(joint, taxonomy)
    winner = by_species.argmax(axis=1)
    listed = policy.listed_probability([taxonomy.species[s] for s in winner], ood_scores[:, 1])
    scores = nonconformity_scores(
        joint.max(axis=1) * listed,
        by_species.max(axis=1),
        breed_right=joint.argmax(axis=1) == labels.leaf,
        species_right=winner == labels.species,
    )
    return np.where(ood_scores[:, 0] < (-np.inf if policy.pet is None else policy.pet), 0.0, scores)


def _fit_listed(
    known_scores: np.ndarray, winner: np.ndarray, unlisted: HeldOutOutputs, taxonomy: Taxonomy
) -> dict[str, Listed]:
    """For each species of which enough photos of held-out breeds are there: listed against held out (Platt, 1999)."""
    found = {}
    for s, name in enumerate(taxonomy.species):
        ours, others = known_scores[winner == s], unlisted.scores[unlisted.labels.species == s, 1]
        if taxonomy.tree[name] and min(len(ours), len(others)) >= ENOUGH_UNLISTED:
            found[name] = _fit_curve(ours, others)
    return found


def _fit_curve(ours: np.ndarray, others: np.ndarray) -> Listed:
    from sklearn.linear_model import LogisticRegression

    scores = np.concatenate([ours, others])[:, None]
    labels = np.repeat([1, 0], [len(ours), len(others)])
    weights = np.repeat([LISTED / len(ours), (1 - LISTED) / len(others)], [len(ours), len(others)]) * len(scores)
    model = LogisticRegression(max_iter=500).fit(scores, labels, sample_weight=weights)
    # A photo that looks more like a known breed must not count as less of one.
    slope = max(float(model.coef_[0, 0]), 0.0)
    return Listed(round(slope, 6), round(float(model.intercept_[0]), 6))


def cross_predict(
    outputs: HeldOutOutputs, unlisted: HeldOutOutputs | None, calibrated: Calibrated, folds: np.ndarray
) -> HeldOutPredictions:
    """Predictions for each photo under temperatures and thresholds fitted to the other folds (int [N])."""
    joint = np.zeros((len(outputs), len(calibrated.taxonomy.leaves)))
    decisions: dict[int, Decision] = {}
    for fold in np.unique(folds):
        others = calibrate(
            outputs.where(folds != fold),
            unlisted,
            taxonomy=calibrated.taxonomy,
            combiner=calibrated.combiner,
            alpha=calibrated.policy.alpha,
        )
        rows = np.flatnonzero(folds == fold)
        joint[rows], decided = others.predict(outputs.where(folds == fold))
        decisions |= dict(zip(rows.tolist(), decided, strict=True))
    return HeldOutPredictions(joint, [decisions[i] for i in range(len(outputs))])
