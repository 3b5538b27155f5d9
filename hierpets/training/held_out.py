"""What a model says of photos that it did not see, kept as logits until they are calibrated and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hierpets.data.index import PhotoIndex
from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.predictions import to_predictions
from hierpets.hierarchy.calibration import Temperatures, fit_temperatures
from hierpets.hierarchy.conformal import nonconformity_scores
from hierpets.hierarchy.decision import Decision, Scores, decide
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import Combiner, joint_probabilities, species_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["Calibration", "HeldOutOutputs", "answer", "calibrate", "cross_predict", "measure"]

PET_KEPT = 0.99
"""Share of photos of breeds held out of training that must still count as pets."""

KNOWN_KEPT = 0.85
"""Share of photos of known breeds that must still look like a known breed: at least three quarters are to be named."""


@dataclass(frozen=True)
class HeldOutOutputs:
    """``species_logits`` [N, S], ``leaf_logits`` [N, L] and ``scores`` [N, 2] of N photos, their labels and paths."""

    paths: tuple[str, ...]
    labels: Labels
    species_logits: np.ndarray
    leaf_logits: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(
        cls, photos: PhotoIndex, species_logits: np.ndarray, leaf_logits: np.ndarray, scores: np.ndarray
    ) -> HeldOutOutputs:
        return cls(tuple(photos.paths), photos.labels(), species_logits, leaf_logits, scores)

    def __len__(self) -> int:
        return len(self.paths)

    def temperatures(self, taxonomy: Taxonomy) -> Temperatures:
        """One temperature a head, fitted on these photos."""
        return fit_temperatures(
            self.species_logits,
            self.leaf_logits,
            species=self.labels.species,
            leaf=self.labels.leaf,
            taxonomy=taxonomy,
        )

    def where(self, rows: np.ndarray) -> HeldOutOutputs:
        """The photos where ``rows`` (bool [N]) is true."""
        labels = replace(self.labels, species=self.labels.species[rows], leaf=self.labels.leaf[rows])
        paths = tuple(path for path, keep in zip(self.paths, rows, strict=True) if keep)
        return HeldOutOutputs(paths, labels, self.species_logits[rows], self.leaf_logits[rows], self.scores[rows])


@dataclass(frozen=True)
class Calibration:
    """What turns logits and scores into an answer that can be trusted."""

    taxonomy: Taxonomy
    combiner: Combiner
    temperatures: Temperatures
    policy: Policy

    def joint(self, evidence: HeldOutOutputs) -> np.ndarray:
        """Calibrated joint probabilities float64 [N, L]."""
        logits = self.temperatures.apply(evidence.species_logits, evidence.leaf_logits, self.taxonomy)
        return joint_probabilities(*logits, self.taxonomy, combiner=self.combiner)


def calibrate(
    evidence: HeldOutOutputs, strangers: np.ndarray, *, taxonomy: Taxonomy, combiner: Combiner, alpha: float
) -> Calibration:
    """Fit temperatures and thresholds on photos that the model did not see.

    ``strangers`` float [M, 2] are the scores of photos whose breed was held out of training; where M is 0 the pets at
    hand stand in for them.
    """
    uncut = Calibration(taxonomy, combiner, evidence.temperatures(taxonomy), Policy(alpha=alpha))
    return replace(uncut, policy=fit_policy(evidence, uncut.joint(evidence), strangers, taxonomy=taxonomy, alpha=alpha))


def fit_policy(
    evidence: HeldOutOutputs, joint: np.ndarray, strangers: np.ndarray, *, taxonomy: Taxonomy, alpha: float
) -> Policy:
    """Thresholds on the two scores, then conformal scores of the answers that those leave. ``joint`` [N, L]."""
    by_species = species_probabilities(joint, taxonomy)
    taken_for = by_species.argmax(axis=1)
    pet_scores, known_scores = evidence.scores.T
    unlike = strangers[:, 0] if len(strangers) else pet_scores
    pet = float(np.quantile(unlike, 1 - PET_KEPT))
    known = {
        name: float(np.quantile(known_scores[taken_for == s], 1 - KNOWN_KEPT))
        for s, name in enumerate(taxonomy.species)
        if taxonomy.tree[name] and (taken_for == s).any()
    }
    stranger = pet_scores < pet
    least = np.array([known.get(name, -np.inf) for name in taxonomy.species])
    scores = nonconformity_scores(
        joint.max(axis=1),
        by_species.max(axis=1),
        leaf_right=joint.argmax(axis=1) == evidence.labels.leaf,
        species_right=taken_for == evidence.labels.species,
        gated=known_scores < least[taken_for],
    )
    scores = np.where(stranger, 0.0, scores)
    # Whether a named breed is right cannot be told where the label has none.
    judged = evidence.labels.leaf != UNKNOWN_LEAF
    kept = {
        name: tuple(np.sort(np.round(scores[judged & (taken_for == s)], 6)).tolist())
        for s, name in enumerate(taxonomy.species)
    }
    return Policy(alpha=alpha, scores=kept, pet=pet, known=known)


def answer(evidence: HeldOutOutputs, calibration: Calibration) -> tuple[np.ndarray, list[Decision]]:
    """Joint probabilities [N, L] and decisions of N photos."""
    joint = calibration.joint(evidence)
    rows = zip(joint, evidence.scores.tolist(), strict=True)
    return joint, [
        decide(row, calibration.taxonomy, calibration.policy, scores=Scores(*scores)) for row, scores in rows
    ]


def cross_predict(
    evidence: HeldOutOutputs, strangers: np.ndarray, calibration: Calibration, folds: np.ndarray
) -> tuple[np.ndarray, list[Decision]]:
    """As :func:`answer`, each photo under temperatures and thresholds that were fitted on the other folds (int [N])."""
    joint = np.zeros((len(evidence), len(calibration.taxonomy.leaves)))
    decisions: dict[int, Decision] = {}
    for fold in np.unique(folds):
        others = calibrate(
            evidence.where(folds != fold),
            strangers,
            taxonomy=calibration.taxonomy,
            combiner=calibration.combiner,
            alpha=calibration.policy.alpha,
        )
        rows = np.flatnonzero(folds == fold)
        joint[rows], decided = answer(evidence.where(folds == fold), others)
        decisions |= dict(zip(rows.tolist(), decided, strict=True))
    return joint, [decisions[i] for i in range(len(evidence))]


def measure(evidence: HeldOutOutputs, answers: tuple[np.ndarray, list[Decision]], taxonomy: Taxonomy) -> Metrics:
    """Every metric of ``docs/metrics.md`` on the answers, as :func:`answer` or :func:`cross_predict` gives them."""
    joint, decisions = answers
    return evaluate_predictions(
        to_predictions(
            evidence.paths, evidence.labels, joint, decisions, taxonomy=taxonomy, novelty=-evidence.scores[:, 0]
        )
    )
