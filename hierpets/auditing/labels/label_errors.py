"""Suspected label errors by confident learning on probabilities that never saw the label they judge.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.auditing.pairs.neighbors import Neighbors, share_with
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["Doubt", "Suspect", "confident_classes", "doubted_labels", "find_label_errors"]

FOREIGN = 0.2  # a breed label that more neighbors share than this is believed
REFUSED, ECHOED = 0.02, 0.3  # below: the heads rule a label out; above: the neighbors say what the heads say


class Suspect(NamedTuple):
    """A row whose label is doubted. ``given`` and ``likely`` are classes with their probabilities."""

    row: int
    given: int
    likely: int
    given_probability: float
    likely_probability: float

    @property
    def margin(self) -> float:
        return self.likely_probability - self.given_probability


def confident_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The class that each row is confidently of, int64 [N], -1 where there is none.

    ``labels`` int [N], ``probabilities`` [N, K]. A row is confidently of a class when its probability reaches the mean
    that the class has on the rows labeled with it; of several such classes the likeliest counts. This mean is what
    makes the rule fair to classes that a model is unsure of.
    """
    thresholds = np.array(
        [probabilities[labels == k, k].mean() if (labels == k).any() else np.inf for k in range(probabilities.shape[1])]
    )
    reached = np.where(probabilities >= thresholds, probabilities, -np.inf)
    return np.where(np.isfinite(reached).any(axis=1), reached.argmax(axis=1), -1)


def find_label_errors(labels: np.ndarray, probabilities: np.ndarray) -> list[Suspect]:
    """Rows that are confidently of another class than their label, most doubtful first.

    ``labels`` int [N] in 0..K-1, ``probabilities`` [N, K] out-of-fold and calibrated. These are the off-diagonal of
    the confident joint, ordered by the margin of the likely class over the given one.
    """
    likely = confident_classes(labels, probabilities)
    rows = np.flatnonzero((likely >= 0) & (likely != labels))
    suspects = [
        Suspect(
            int(row),
            int(labels[row]),
            int(likely[row]),
            float(probabilities[row, labels[row]]),
            float(probabilities[row, likely[row]]),
        )
        for row in rows
    ]
    return sorted(suspects, key=lambda suspect: -suspect.margin)


class Doubt(NamedTuple):
    """A doubted label. ``likely`` is a leaf index, ``agreement`` the share of neighbors that have the given label."""

    row: int
    likely: int
    given_probability: float
    likely_probability: float
    agreement: float

    @property
    def score(self) -> float:
        return self.likely_probability - self.given_probability


def doubted_labels(labels: Labels, joint: np.ndarray, neighbors: Neighbors, taxonomy: Taxonomy) -> list[Doubt]:
    """Labels that both the heads and the neighbors speak against, most doubtful first.

    ``joint`` [N, L] holds out-of-fold, calibrated joint probabilities. The heads speak by confident learning, at the
    species first and then among the breeds of the species; the neighbors when few of them have the label. A label
    that the heads rule out and no neighbor has is doubted without reaching a class's own confidence: a class that
    holds many wrong labels sets that bar too high.
    """
    species = species_probabilities(joint, taxonomy)
    wrong_species = {s.row for s in find_label_errors(labels.species, species)}
    wrong_species &= set(np.flatnonzero(share_with(neighbors, labels.species, labels.species) < 0.5).tolist())
    given = np.where(labels.leaf != UNKNOWN_LEAF, labels.leaf, len(taxonomy.leaves) + labels.species)
    agreement = share_with(neighbors, given, given)
    wrong_breed = {row for row in _breed_errors(labels, joint, wrong_species, taxonomy) if agreement[row] <= FOREIGN}
    likely = joint.argmax(axis=1)
    probability = _given_probability(labels, joint, species)
    echo = share_with(neighbors, given, likely)
    ruled_out = (_top_of(likely, labels, taxonomy)) & (probability < REFUSED) & (agreement == 0) & (echo >= ECHOED)
    doubts = []
    for row in sorted(wrong_species | wrong_breed | set(np.flatnonzero(ruled_out).tolist())):
        # The likeliest leaf of another class: confident learning may doubt a label that is still the likeliest.
        rivals = joint[row].copy()
        if labels.leaf[row] != UNKNOWN_LEAF:
            rivals[labels.leaf[row]] = 0.0
        best = int(rivals.argmax())
        doubts.append(Doubt(row, best, float(probability[row]), float(rivals[best]), float(agreement[row])))
    return sorted(doubts, key=lambda doubt: -doubt.score)


def _breed_errors(labels: Labels, joint: np.ndarray, elsewhere: set[int], taxonomy: Taxonomy) -> list[int]:
    """Confident learning among the breeds of each species, on the photos whose species is not in doubt."""
    found: list[int] = []
    for s, columns in enumerate(taxonomy.slices):
        rows = np.flatnonzero((labels.species == s) & (labels.leaf != UNKNOWN_LEAF))
        rows = rows[~np.isin(rows, list(elsewhere))]
        if columns.stop - columns.start < 2 or not len(rows):
            continue
        inside = joint[rows, columns]
        inside = inside / inside.sum(axis=1, keepdims=True).clip(min=1e-300)
        found += [int(rows[suspect.row]) for suspect in find_label_errors(labels.leaf[rows] - columns.start, inside)]
    return found


def _given_probability(labels: Labels, joint: np.ndarray, species: np.ndarray) -> np.ndarray:
    """The probability of each row's label, float64 [N]: of its leaf, or of its species where the breed is unknown."""
    rows = np.arange(len(labels))
    return np.where(labels.leaf != UNKNOWN_LEAF, joint[rows, labels.leaf], species[rows, labels.species])


def _top_of(likely: np.ndarray, labels: Labels, taxonomy: Taxonomy) -> np.ndarray:
    """bool [N]: whether the likeliest leaf contradicts the label."""
    return np.where(labels.leaf != UNKNOWN_LEAF, likely != labels.leaf, taxonomy.leaf_species[likely] != labels.species)
