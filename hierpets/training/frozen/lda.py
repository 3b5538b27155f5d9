"""Linear discriminant analysis (LDA) from class statistics, at a cost that does not depend on the number of photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve

from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.model.heads import Heads, Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.prior import Masses, PriorShift, equal_masses, head_prior_shift

__all__ = ["fit_lda", "fit_lda_heads", "fit_lda_without", "lda_prior_shift"]


def fit_lda(statistics: ClassStatistics, classes: Sequence[Leaf], *, shrinkage: float) -> Linear:
    """Fit a linear discriminant with equal priors and one covariance, pooled over all leaves and shrunk.

    The head has a row for each of ``classes``; it is zero if there is only one. Shrinkage: Friedman, "Regularized
    Discriminant Analysis", 1989.
    """
    means = statistics.means_of(classes)
    if len(classes) == 1:
        return Linear(np.zeros(means.shape, np.float32), np.zeros(1, np.float32))
    center = means.mean(axis=0)
    offsets = means - center
    weight = cho_solve((statistics.factor(shrinkage), True), offsets.T).T
    return _linear(weight, offsets, center)


def fit_lda_without(
    statistics: ClassStatistics,
    head: Linear,
    classes: Sequence[Leaf],
    removed: int,
    features: np.ndarray,
    weights: np.ndarray,
    *,
    shrinkage: float,
) -> Linear:
    """Remove Q photos of ``classes[removed]`` from a fitted head, by a rank Q downdate of the covariance's factor.

    ``head`` is the result of :func:`fit_lda` for ``statistics``. The photos have ``features`` [Q, D] and ``weights``
    [Q]; at least one photo of their class must remain. Predictions are those of a fit to the other photos, except that
    the amount of identity in the covariance stays the same. Logits are proportional to those of such a fit.
    """
    means, mass = statistics.means_of(classes), statistics.weights[statistics.labels.index(classes[removed])]
    roots = np.sqrt(weights)
    deviations = (features - means[removed]) * roots[:, None]
    # The scatter shrinks by deviations.T @ inv(I - roots roots.T / mass) @ deviations, since the class mean moves, too.
    share = (1 - shrinkage) / statistics.covariance_weight
    solved = cho_solve((statistics.factor(shrinkage), True), deviations.T).T
    inner = (np.eye(len(roots)) - np.outer(roots, roots) / mass) / share - solved @ deviations.T
    moved = -roots / (mass - weights.sum())
    center = means.mean(axis=0)
    offsets, weight = means - center, head.weight.astype(np.float64)
    offsets[removed] += moved @ deviations
    weight[removed] += moved @ solved
    weight += (offsets @ solved.T) @ np.linalg.solve(inner, solved)  # Woodbury's identity
    return _linear(weight, offsets, center)


def fit_lda_heads(
    statistics: ClassStatistics,
    taxonomy: Taxonomy,
    *,
    shrinkage: float,
    prior: Prior = "uniform",
    combiner: Combiner = "conditional",
) -> Heads:
    """Fit a species head and breed heads by LDA. Uninformative features give the ``prior``.

    The species head treats all breeds of a species as one Gaussian around the mean of its photos (docs/experiments.md).
    """
    species = [Leaf(name, None) for name in taxonomy.species]
    heads = Heads(
        species=fit_lda(statistics.by_species, species, shrinkage=shrinkage),
        leaf=fit_lda(statistics, taxonomy.leaves, shrinkage=shrinkage),
    )
    return heads.shifted(*lda_prior_shift(statistics, taxonomy, prior=prior, combiner=combiner))


def lda_prior_shift(statistics: ClassStatistics, taxonomy: Taxonomy, *, prior: Prior, combiner: Combiner) -> PriorShift:
    """Return what :func:`fit_lda_heads` adds to the logits of heads with equal priors."""
    species = statistics.by_species.counts_of([Leaf(name, None) for name in taxonomy.species])
    counts = Masses(species.astype(float), statistics.counts_of(taxonomy.leaves).astype(float))
    return head_prior_shift(equal_masses(taxonomy), counts, taxonomy, target=prior, combiner=combiner)


def _linear(weight: np.ndarray, offsets: np.ndarray, center: np.ndarray) -> Linear:
    """Return a head with equal priors.

    ``offsets`` [K, D] are the class means minus ``center`` [D], ``weight`` [K, D] the inverse covariance times these.
    """
    bias = -0.5 * np.einsum("kd,kd->k", weight, offsets) - weight @ center
    return Linear(weight.astype(np.float32), bias.astype(np.float32))
