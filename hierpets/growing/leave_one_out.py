"""What heads and OOD scorer would have said of a photo without it, in closed form: nothing is fitted again.

Taking one photo out moves the mean of its class, and takes a product of one vector with itself out of the scatter
(Sherman and Morrison, 1950). The identity that the covariance is shrunk towards keeps its scale, which one photo of N
changes by a part in N.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.features.unit import unit_rows

__all__ = ["LeaveOneOut"]


@dataclass(frozen=True)
class LeaveOneOut:
    """N photos that are part of some statistics: ``features`` float64 [N, D] and ``profiles`` [N, P], ``rows`` int [N]
    of their classes, ``weights`` [N]. ``scattered`` bool [N]: whether the scatter holds them, as it holds photos of
    leaves; None to find out.
    """

    statistics: ClassStatistics
    features: np.ndarray
    profiles: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    scattered: np.ndarray | None = None

    @property
    def judged(self) -> np.ndarray:
        """bool [N]: whether the class has another photo, without which nothing can be said."""
        return self.statistics.counts[self.rows] > 1

    def logits(self, classes: tuple[Leaf, ...], shrinkage: float) -> np.ndarray:
        """The logits [N, len(classes)] of an LDA that did not see the photo."""
        known = self.statistics
        columns = [known.labels.index(label) for label in classes]
        if len(classes) == 1:
            return np.zeros((len(self.rows), 1))
        root = known.factor(shrinkage)
        center = known.means[columns].mean(axis=0)
        means = solve_triangular(root, (known.means - center).T, lower=True).T
        photos = solve_triangular(root, (self.features - center).T, lower=True).T
        rest = self._rest(known.weights)
        total = known.covariance_weight
        residuals = photos - means[self.rows]
        moved = means[self.rows] - (self.weights / rest)[:, None] * residuals
        beta = self._in_scatter * (1 - shrinkage) * self.weights * known.weights[self.rows] / rest / total
        gamma = beta / (1 - beta * (residuals**2).sum(axis=1)).clip(min=1e-9)
        along = residuals @ means.T  # [N, K]: each mean along the photo's deviation
        own = (moved * residuals).sum(axis=1)
        scores = photos @ means.T - 0.5 * (means**2).sum(axis=1)
        at = np.arange(len(self.rows))
        along[at, self.rows] = own
        scores[at, self.rows] = (photos * moved).sum(axis=1) - 0.5 * (moved**2).sum(axis=1)
        through = (photos * residuals).sum(axis=1)[:, None]
        scores += gamma[:, None] * (along * through - 0.5 * along**2)
        return ((total - self.weights) / total)[:, None] * scores[:, columns]

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
        moved = known.sums[self.rows] - self.weights[:, None] * self.features
        return self._products(unit_rows(self.features), unit_rows(known.sums), unit_rows(moved))

    def profile(self) -> np.ndarray:
        """float64 [N, C]: the Bhattacharyya coefficients to the mean probabilities of the leaves."""
        known = self.statistics
        moved = (known.profiles[self.rows] - self.weights[:, None] * self.profiles).clip(min=0)
        means = np.sqrt(known.profiles / known.weights[:, None])
        return self._products(np.sqrt(self.profiles), means, np.sqrt(moved / self._rest(known.weights)[:, None]))

    def _products(self, photos: np.ndarray, classes: np.ndarray, moved: np.ndarray) -> np.ndarray:
        products = photos @ classes.T
        products[np.arange(len(photos)), self.rows] = (photos * moved).sum(axis=1)
        leaves = [self.statistics.labels.index(leaf) for leaf in self.statistics.leaves]
        return products[:, leaves]

    def _rest(self, weights: np.ndarray) -> np.ndarray:
        """What the class of each photo weighs without it; for the only one of its class nothing is asked of it."""
        return np.where(self.judged, weights[self.rows] - self.weights, weights[self.rows])
