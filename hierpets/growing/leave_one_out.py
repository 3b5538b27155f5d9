"""What heads and OOD scorer would have said of an animal without its photos, in closed form: nothing is fitted again.

Taking photos out moves the mean of their class, and takes products of as many vectors with themselves, and of one more
for the mean, out of the scatter (Sherman and Morrison, 1950; Woodbury, 1950). The identity that the covariance is
shrunk towards keeps its scale, which one photo of N changes by a part in N.
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
    """N photos that are part of some statistics: ``features`` float64 [N, D] and ``profiles`` [N, P], ``rows`` int [N]
    of their classes, ``weights`` [N], and ``groups`` int [N], one number for all photos of an animal, which are left
    out together. ``scattered`` bool [N]: whether the scatter holds them, as it holds photos of leaves; None to find
    out.
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
        """The photos of each animal."""
        order = np.argsort(self.groups, kind="stable")
        starts = np.flatnonzero(np.diff(self.groups[order])) + 1
        return tuple(np.split(order, starts))

    @property
    def judged(self) -> np.ndarray:
        """bool [N]: whether the class has another animal, without which nothing can be said."""
        return self.statistics.counts[self.rows] > self._of_animal(np.ones(len(self.rows)))

    def logits(self, classes: tuple[Leaf, ...], shrinkage: float) -> np.ndarray:
        """The logits [N, len(classes)] of an LDA that did not see the animal."""
        known = self.statistics
        columns = [known.labels.index(label) for label in classes]
        if len(classes) == 1:
            return np.zeros((len(self.rows), 1))
        root = known.factor(shrinkage)
        center = known.means[columns].mean(axis=0)
        means = solve_triangular(root, (known.means - center).T, lower=True).T
        photos = solve_triangular(root, (self.features - center).T, lower=True).T
        scores = photos @ means.T - 0.5 * (means**2).sum(axis=1)
        taken, rest = np.where(self._in_scatter, self._of_animal(self.weights), 0.0), self._rest(known.weights)
        share = np.where(self._in_scatter, (1 - shrinkage) / known.covariance_weight, 0.0)
        for animal in self.animals:
            first, own = animal[0], self.rows[animal[0]]
            weights, residuals = self.weights[animal], photos[animal] - means[own]
            drawn = weights @ residuals  # by the animal, to its side
            moved = means[own] - drawn / rest[first]
            out = np.vstack([np.sqrt(weights)[:, None] * residuals, drawn / np.sqrt(rest[first])])
            along, gamma = _directions(np.sqrt(share[first]) * out)
            scores[animal, own] = photos[animal] @ moved - 0.5 * moved @ moved
            toward = means @ along.T  # [K, directions]
            toward[own] = along @ moved
            scores[animal] += (gamma * (photos[animal] @ along.T)) @ toward.T - 0.5 * toward**2 @ gamma
        total = known.covariance_weight
        return ((total - taken) / total)[:, None] * scores[:, columns]

    def by_species(self) -> LeaveOneOut:
        """The same photos as part of their species."""
        known = self.statistics.by_species
        row = {label.species: i for i, label in enumerate(known.labels)}
        species = np.array([row[label.species] for label in self.statistics.labels])
        return replace(self, statistics=known, rows=species[self.rows], scattered=self._in_scatter)

    @property
    def _in_scatter(self) -> np.ndarray:
        """bool [N]. Photos of no stated breed are in no scatter, and nothing is taken out of it with them."""
        if self.scattered is not None:
            return self.scattered
        leaves = {*self.statistics.leaves}
        return np.array([label in leaves for label in self.statistics.labels])[self.rows]

    def cosine(self) -> np.ndarray:
        """float64 [N, C]: the cosines to the means of the leaves."""
        known = self.statistics
        moved = known.sums[self.rows] - self._of_animal(self.weights[:, None] * self.features)
        return self._products(unit_rows(self.features), unit_rows(known.sums), unit_rows(moved))

    def profile(self) -> np.ndarray:
        """float64 [N, C]: the Bhattacharyya coefficients to the mean probabilities of the leaves."""
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
        """The sums of values [N, ...] over all photos of the same animal, for each photo."""
        numbers = np.unique(self.groups, return_inverse=True)[1]
        sums = np.zeros((len(self.animals), *values.shape[1:]))
        np.add.at(sums, numbers, values)
        return sums[numbers]

    def _rest(self, weights: np.ndarray) -> np.ndarray:
        """What the class of each photo weighs without its animal; where it has no other, nothing is asked of it."""
        own = weights[self.rows]
        return np.where(self.judged, own - self._of_animal(self.weights), own)


@dataclass(frozen=True)
class LeaveOneOutLogits:
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
class LeaveOneOutPredictions:
    """What a grown bundle gives for M of the new photos without them: calibrated ``joint`` probabilities [M, L],
    ``scores`` [M, 1 + S], ``labels``, and the most probable leaves, ``answers``. ``rows`` int [M] are those of the
    photos.
    """

    rows: np.ndarray
    joint: np.ndarray
    scores: np.ndarray
    labels: Labels
    answers: tuple[Leaf, ...]


def leave_one_out_logits(grown: OpenNetwork, photos: LeaveOneOut, labels: Labels) -> LeaveOneOutLogits:
    """What the network gives for the new photos, each without its animal; one alone in its class is not judged."""
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
    """What the networks answer together, by the ``logits`` of each without the same photos."""
    outputs = [
        mix(network.scorer, network.mixture, own.species, own.leaf, own.evidence)
        for network, own in zip(grown.networks, logits, strict=True)
    ]
    joint, scores = joint_and_scores(grown.manifest, outputs)
    answers = tuple(grown.manifest.taxonomy.leaves[best] for best in joint.argmax(axis=1).tolist())
    return LeaveOneOutPredictions(logits[-1].rows, joint, scores, grown.main.breeds.relabel(logits[-1].labels), answers)


def _evidence(grown: OpenNetwork, photos: LeaveOneOut) -> Evidence:
    """The evidence of photos that the statistics did not see."""
    leaves = grown.statistics.leaves
    scores, cosine = photos.logits(leaves, DISCRIMINANT.shrinkage), photos.cosine()
    others = (photos.profile(), photos.profiles) if photos.profiles.shape[1] else (None, None)
    tables = [None if t is None else torch.from_numpy(t.astype(np.float32)) for t in (scores, cosine, *others)]
    with torch.inference_mode():
        return grown.scorer.weigh(*tables)  # type: ignore[arg-type]


def _directions(out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthogonal directions [R, D] in which rows [R, D] are taken out of the identity, and by how much its inverse
    grows along the square of each, [R].
    """
    lengths, turned = np.linalg.eigh(out @ out.T)
    return turned.T @ out, 1 / (1 - lengths).clip(min=1e-9)
