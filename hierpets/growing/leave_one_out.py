"""Leave-one-animal-out predictions of LDA heads and OOD scorer in closed form, without fitting them again.

Leaving photos out moves the mean of their class, and subtracts an outer product for each photo, and one more for the
mean, from the scatter: a low-rank update (Sherman and Morrison, 1950; Woodbury, 1950). The scale of the identity that
the covariance is shrunk towards is kept, which one of N photos changes by only 1/N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.linalg import solve_triangular

from hierpets.growing.bundle import OpenBundle, joint_and_scores
from hierpets.growing.network import OpenNetwork
from hierpets.model.network import mix
from hierpets.model.ood import Evidence
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf
from hierpets.training.features.unit import unit_rows
from hierpets.training.frozen.fitter import DISCRIMINANT
from hierpets.training.frozen.lda import lda_prior_shift

__all__ = [
    "LeaveOneOut",
    "LeaveOneOutLogits",
    "LeaveOneOutPredictions",
    "leave_one_out_logits",
    "predict_left_out",
]


@dataclass(frozen=True)
class LeaveOneOut:
    """N photos that are part of some ``statistics``.

    They have ``features`` float64 [N, D], ``profiles`` [N, P] and ``weights`` [N]. ``rows`` int [N] are the rows of
    their classes in the statistics. Photos with the same number in ``groups`` int [N] show the same animal, and are
    left out together. ``scattered`` bool [N]: whether the scatter includes them; None: if their class is a leaf.
    """

    statistics: ClassStatistics
    features: np.ndarray
    profiles: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    scattered: np.ndarray | None = None

    @cached_property
    def animals(self) -> tuple[np.ndarray, ...]:
        """The indices of the photos of each animal."""
        order = np.argsort(self.groups, kind="stable")
        starts = np.flatnonzero(np.diff(self.groups[order])) + 1
        return tuple(np.split(order, starts))

    @property
    def judged(self) -> np.ndarray:
        """Whether the class of each photo has another animal, bool [N]; otherwise it cannot be left out."""
        return self.statistics.counts[self.rows] > self._of_animal(np.ones(len(self.rows)))

    def logits(self, classes: tuple[Leaf, ...], shrinkage: float) -> np.ndarray:
        """The logits [N, len(classes)] of an LDA fitted without the animal of each photo."""
        known = self.statistics
        columns = [known.labels.index(label) for label in classes]
        if len(classes) == 1:
            return np.zeros((len(self.rows), 1))
        root = known.factor(shrinkage)
        center = known.means[columns].mean(axis=0)
        means = solve_triangular(root, (known.means - center).T, lower=True).T
        photos = solve_triangular(root, (self.features - center).T, lower=True).T
        scores = photos @ means.T - 0.5 * (means**2).sum(axis=1)
        removed, rest = np.where(self._in_scatter, self._of_animal(self.weights), 0.0), self._rest(known.weights)
        share = np.where(self._in_scatter, (1 - shrinkage) / known.covariance_weight, 0.0)
        for animal in self.animals:
            first, own = animal[0], self.rows[animal[0]]
            weights, residuals = self.weights[animal], photos[animal] - means[own]
            pull = weights @ residuals  # of the animal on the mean of its class
            moved = means[own] - pull / rest[first]
            out = np.vstack([np.sqrt(weights)[:, None] * residuals, pull / np.sqrt(rest[first])])
            directions, gamma = _low_rank_update(np.sqrt(share[first]) * out)
            scores[animal, own] = photos[animal] @ moved - 0.5 * moved @ moved
            projected = means @ directions.T  # [K, R]
            projected[own] = directions @ moved
            scores[animal] += (gamma * (photos[animal] @ directions.T)) @ projected.T - 0.5 * projected**2 @ gamma
        total = known.covariance_weight
        return ((total - removed) / total)[:, None] * scores[:, columns]

    def by_species(self) -> LeaveOneOut:
        """The same photos as part of the statistics by species."""
        known = self.statistics.by_species
        row = {label.species: i for i, label in enumerate(known.labels)}
        species = np.array([row[label.species] for label in self.statistics.labels])
        return replace(self, statistics=known, rows=species[self.rows], scattered=self._in_scatter)

    @property
    def _in_scatter(self) -> np.ndarray:
        """Whether the scatter includes each photo, bool [N]; it does not include photos without a stated breed."""
        if self.scattered is not None:
            return self.scattered
        leaves = {*self.statistics.leaves}
        return np.array([label in leaves for label in self.statistics.labels])[self.rows]

    def cosine(self) -> np.ndarray:
        """Cosine similarities to the means of the leaves, float64 [N, C]."""
        known = self.statistics
        moved = known.sums[self.rows] - self._of_animal(self.weights[:, None] * self.features)
        return self._products(unit_rows(self.features), unit_rows(known.sums), unit_rows(moved))

    def profile(self) -> np.ndarray:
        """Bhattacharyya coefficients with the mean probabilities of the leaves, float64 [N, C]."""
        known = self.statistics
        moved = (known.profiles[self.rows] - self._of_animal(self.weights[:, None] * self.profiles)).clip(min=0)
        means = np.sqrt(known.profiles / known.weights[:, None])
        return self._products(np.sqrt(self.profiles), means, np.sqrt(moved / self._rest(known.weights)[:, None]))

    def _products(self, photos: np.ndarray, classes: np.ndarray, moved: np.ndarray) -> np.ndarray:
        products = photos @ classes.T
        products[np.arange(len(photos)), self.rows] = (photos * moved).sum(axis=1)
        leaves = [self.statistics.labels.index(leaf) for leaf in self.statistics.leaves]
        return products[:, leaves]

    def _of_animal(self, values: np.ndarray) -> np.ndarray:
        """For each photo, the sum of ``values`` [N, ...] over all photos of its animal."""
        numbers = np.unique(self.groups, return_inverse=True)[1]
        sums = np.zeros((len(self.animals), *values.shape[1:]))
        np.add.at(sums, numbers, values)
        return sums[numbers]

    def _rest(self, weights: np.ndarray) -> np.ndarray:
        """The weight of the class of each photo without its animal; the full weight if there is no other animal."""
        own = weights[self.rows]
        return np.where(self.judged, own - self._of_animal(self.weights), own)


@dataclass(frozen=True)
class LeaveOneOutLogits:
    """Leave-one-out outputs of a network's heads and OOD scorer for M of the new photos, those at ``rows`` int [M].

    ``species`` [M, S] and ``leaf`` [M, T] are logits, ``evidence`` is that of the OOD scorer, and ``labels`` are among
    the T leaves that have photos.
    """

    rows: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    evidence: Evidence
    labels: Labels


@dataclass(frozen=True)
class LeaveOneOutPredictions:
    """Leave-one-out predictions of a grown bundle for M of the new photos, those at ``rows`` int [M].

    ``joint`` [M, L] are calibrated joint probabilities, ``scores`` [M, 1 + S] the pet scores and the probabilities that
    the breed is listed, and ``answers`` the most probable leaves.
    """

    rows: np.ndarray
    joint: np.ndarray
    scores: np.ndarray
    labels: Labels
    answers: tuple[Leaf, ...]


def leave_one_out_logits(grown: OpenNetwork, photos: LeaveOneOut, labels: Labels) -> LeaveOneOutLogits:
    """The outputs of the network for each new photo without its animal; those of the only animal of a class are
    skipped.
    """
    spec, tree = grown.spec, grown.statistics.taxonomy
    rows = np.flatnonzero(photos.judged)
    shift = lda_prior_shift(grown.statistics, tree, prior=spec.prior, combiner=grown.manifest.combiner)
    species = photos.by_species().logits(tuple(Leaf(name, None) for name in tree.species), spec.shrinkage)
    return LeaveOneOutLogits(
        rows=rows,
        species=(species + shift.species)[rows],
        leaf=(photos.logits(tree.leaves, spec.shrinkage) + shift.leaf)[rows],
        evidence=_evidence(grown, photos).where(rows),
        labels=labels.where(rows),
    )


def predict_left_out(grown: OpenBundle, logits: Sequence[LeaveOneOutLogits]) -> LeaveOneOutPredictions:
    """The predictions of the cascade, by the leave-one-out ``logits`` of each network."""
    outputs = [
        mix(network.scorer, network.mixture, own.species, own.leaf, own.evidence)
        for network, own in zip(grown.networks, logits, strict=True)
    ]
    joint, scores = joint_and_scores(grown.manifest, outputs)
    answers = tuple(grown.manifest.taxonomy.leaves[best] for best in joint.argmax(axis=1).tolist())
    return LeaveOneOutPredictions(logits[-1].rows, joint, scores, grown.main.breeds.relabel(logits[-1].labels), answers)


def _evidence(grown: OpenNetwork, photos: LeaveOneOut) -> Evidence:
    """The OOD evidence of each photo without its animal."""
    leaves = grown.statistics.leaves
    scores, cosine = photos.logits(leaves, DISCRIMINANT.shrinkage), photos.cosine()
    others = (photos.profile(), photos.profiles) if photos.profiles.shape[1] else (None, None)
    tables = [None if t is None else torch.from_numpy(t.astype(np.float32)) for t in (scores, cosine, *others)]
    with torch.inference_mode():
        return grown.scorer.weigh(*tables)  # type: ignore[arg-type]


def _low_rank_update(out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthogonal ``directions`` [R, D] and factors ``gamma`` [R] such that the inverse of ``I - out.T @ out``, for
    ``out`` [R, D], is ``I + directions.T @ diag(gamma) @ directions``.
    """
    eigenvalues, eigenvectors = np.linalg.eigh(out @ out.T)
    return eigenvectors.T @ out, 1 / (1 - eigenvalues).clip(min=1e-9)
