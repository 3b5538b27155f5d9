"""Suspected label errors, by confident learning on out-of-fold probabilities and by the labels of the neighbors.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.auditing.pairs.neighbors import Neighbors, share_with
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["SuspectedError", "confident_classes", "confident_mismatches", "suspected_errors"]

RARE = 0.2  # a breed label is trusted if a larger fraction of the neighbors shares it
RULED_OUT = 0.02  # the heads rule out a label with a probability below this
SUPPORTED = 0.3  # the neighbors support a prediction if this fraction of them has that label


def confident_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The confident class of each row, int64 [N], -1 if there is none.

    ``labels`` int [N], ``probabilities`` [N, K]. A row is confidently of a class if its probability reaches the mean
    that the class has on the rows labeled with it; of several such classes the most probable counts. This mean makes
    the rule fair to classes that the model is unsure of.
    """
    thresholds = np.array(
        [probabilities[labels == k, k].mean() if (labels == k).any() else np.inf for k in range(probabilities.shape[1])]
    )
    reached = np.where(probabilities >= thresholds, probabilities, -np.inf)
    return np.where(np.isfinite(reached).any(axis=1), reached.argmax(axis=1), -1)


def confident_mismatches(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Rows that are confidently of another class than their label, int64 [M]: the off-diagonal of the confident joint.

    ``labels`` int [N] in 0..K-1, ``probabilities`` [N, K] out-of-fold and calibrated.
    """
    likely = confident_classes(labels, probabilities)
    return np.flatnonzero((likely >= 0) & (likely != labels))


class SuspectedError(NamedTuple):
    """A suspected label error. ``likely`` is the probable leaf, ``agreement`` the share of neighbors with the label."""

    row: int
    likely: int
    given_probability: float
    likely_probability: float
    agreement: float

    @property
    def score(self) -> float:
        return self.likely_probability - self.given_probability


def suspected_errors(
    labels: Labels, joint: np.ndarray, neighbors: Neighbors, taxonomy: Taxonomy
) -> list[SuspectedError]:
    """Find labels that both the heads and the neighbors contradict, the highest score first.

    ``joint`` [N, L] holds out-of-fold, calibrated joint probabilities. The heads contradict a label by confident
    learning, first at species level and then among the breeds of the species; the neighbors contradict it if few of
    them have it. A label that the heads rule out and no neighbor has is suspected even if no class is confident: many
    wrong labels in a class make its threshold too high.
    """
    species = species_probabilities(joint, taxonomy)
    wrong_species = _species_errors(labels, species, neighbors)
    agreement = share_with(neighbors, labels.classes, labels.classes)
    wrong_breed = {row for row in _breed_errors(labels, joint, wrong_species, taxonomy) if agreement[row] <= RARE}
    likely = joint.argmax(axis=1)
    probability = _given_probability(labels, joint, species)
    support = share_with(neighbors, labels.classes, likely)
    ruled_out = _contradicts(likely, labels, taxonomy) & (probability < RULED_OUT)
    ruled_out &= (agreement == 0) & (support >= SUPPORTED)
    errors = []
    for row in sorted(wrong_species | wrong_breed | set(np.flatnonzero(ruled_out).tolist())):
        best, best_probability = _best_rival(joint[row], int(labels.leaf[row]))
        errors.append(SuspectedError(row, best, float(probability[row]), best_probability, float(agreement[row])))
    return sorted(errors, key=lambda error: -error.score)


def _best_rival(joint: np.ndarray, given: int) -> tuple[int, float]:
    """The most probable leaf other than the given one, and its probability.

    Confident learning may suspect a label even if it is the most probable leaf.
    """
    rivals = joint.copy()
    if given != UNKNOWN_LEAF:
        rivals[given] = 0.0
    best = int(rivals.argmax())
    return best, float(rivals[best])


def _species_errors(labels: Labels, species: np.ndarray, neighbors: Neighbors) -> set[int]:
    """Rows whose species both confident learning and most neighbors contradict."""
    contradicted = confident_mismatches(labels.species, species)
    agreement = share_with(neighbors, labels.species, labels.species)
    return set(contradicted[agreement[contradicted] < 0.5].tolist())


def _breed_errors(labels: Labels, joint: np.ndarray, wrong_species: set[int], taxonomy: Taxonomy) -> list[int]:
    """Rows whose breed confident learning contradicts, among the breeds of each species, except ``wrong_species``."""
    found: list[int] = []
    for s, columns in enumerate(taxonomy.slices):
        rows = np.flatnonzero((labels.species == s) & labels.breed_known)
        rows = rows[~np.isin(rows, list(wrong_species))]
        if columns.stop - columns.start < 2 or not len(rows):
            continue
        inside = joint[rows, columns]
        inside = inside / inside.sum(axis=1, keepdims=True).clip(min=1e-300)
        found += rows[confident_mismatches(labels.leaf[rows] - columns.start, inside)].tolist()
    return found


def _given_probability(labels: Labels, joint: np.ndarray, species: np.ndarray) -> np.ndarray:
    """The probability of each row's label, float64 [N]: of its leaf, or of its species if the breed is unknown."""
    rows = np.arange(len(labels))
    return np.where(labels.breed_known, joint[rows, labels.leaf], species[rows, labels.species])


def _contradicts(likely: np.ndarray, labels: Labels, taxonomy: Taxonomy) -> np.ndarray:
    """Whether the most probable leaf contradicts the label, bool [N]."""
    return np.where(labels.breed_known, likely != labels.leaf, taxonomy.leaf_species[likely] != labels.species)
