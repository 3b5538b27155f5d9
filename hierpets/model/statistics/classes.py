"""Additive statistics of labeled features: counts, sums, and one pooled scatter matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, reduce
from operator import add
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from threadpoolctl import ThreadpoolController

from hierpets.taxonomy import Leaf, Taxonomy, class_order

__all__ = ["ClassStatistics"]

ROUNDED = 0.02
"""Shrinkage for a scatter matrix that is not positive definite after a bundle stored it in half precision, as happens
with few photos."""


@dataclass(frozen=True)
class ClassStatistics:
    """Sufficient statistics of labeled photos for linear discriminants, of a size that does not depend on their number.

    ``labels``: K distinct labels, sorted. ``counts`` int64 [K]: photos. ``weights`` float64 [K]: their summed weights.
    ``sums`` float64 [K, D] and ``profiles`` float64 [K, P]: weighted sums of their features, and of the probabilities
    that the backbone's pretrained head gives them (P is 0 without one). ``scatter`` float64 [D, D]: weighted sum of the
    outer products of the features' deviations from their class mean, over all leaves.

    A label without a breed is a leaf if no label names a breed of its species. Otherwise its photos are of unknown
    breed: they count for the species, but not in the scatter.

    Statistics of disjoint sets of photos can be added (Chan, Golub and LeVeque, "Updating Formulae", 1979) and
    subtracted again, in any order: the result differs by rounding alone.
    """

    labels: tuple[Leaf, ...]
    counts: np.ndarray
    weights: np.ndarray
    sums: np.ndarray
    profiles: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        classes: np.ndarray,
        weights: np.ndarray,
        labels: Sequence[Leaf],
        profiles: np.ndarray | None = None,
    ) -> ClassStatistics:
        """Compute the statistics of N photos.

        ``features`` [N, D], ``classes`` int [N] indices in ``labels``, positive ``weights`` [N], ``profiles`` [N, P].
        """
        x = features.astype(np.float64)
        extra = np.zeros((len(x), 0)) if profiles is None else profiles
        seen = np.array(sorted(np.unique(classes).tolist(), key=lambda c: class_order(labels[c])), np.int64)
        membership = (classes == seen[:, None]) * weights
        mass, sums = membership.sum(axis=1), membership @ x
        leaf = _is_leaf([labels[c] for c in seen], labels)
        rows = membership[leaf].any(axis=0)
        row_of = np.argmax(membership > 0, axis=0)
        deviations = (x - (sums / mass[:, None])[row_of])[rows] * np.sqrt(weights[rows])[:, None]
        return cls(
            labels=tuple(labels[c] for c in seen),
            counts=(membership > 0).sum(axis=1),
            weights=mass,
            sums=sums,
            profiles=membership @ extra,
            scatter=deviations.T @ deviations,
        )

    @classmethod
    def total(cls, parts: Iterable[ClassStatistics]) -> ClassStatistics:
        """Add up at least one part."""
        return reduce(add, parts)

    def __add__(self, other: ClassStatistics) -> ClassStatistics:
        labels = tuple(sorted({*self.labels, *other.labels}, key=class_order))
        a, b = self._rows(labels), other._rows(labels)
        rows = _Rows(*(x + y for x, y in zip(a, b, strict=True)))
        return _joined(labels, rows, self.scatter + other.scatter + _between(a, b, _is_leaf(labels, labels)))

    def __sub__(self, part: ClassStatistics) -> ClassStatistics:
        """Remove the photos of ``part``, which must be among these."""
        whole, b = self._rows(self.labels), part._rows(self.labels)
        rest = _Rows(*(x - y for x, y in zip(whole, b, strict=True)))
        scatter = self.scatter - part.scatter - _between(rest, b, _is_leaf(self.labels, self.labels))
        return _joined(self.labels, rest, scatter)

    def without(self, label: Leaf) -> ClassStatistics:
        """Remove a class, but keep the covariance: the scatter of a single class cannot be told from the pooled one."""
        kept = np.array([known != label for known in self.labels])
        rows = self._rows(self.labels)
        rest = _joined(self.labels, rows._replace(counts=np.where(kept, rows.counts, 0)), self.scatter)
        return replace(rest, scatter=self.covariance * rest.covariance_weight)

    def reweighted(self, weights: np.ndarray) -> ClassStatistics:
        """Give the classes other total ``weights`` [K].

        Only the pooled scatter is known, so the photos of each class are assumed to scatter like those of the others.
        """
        factors = weights / self.weights
        # A single photo equals its class mean, and so adds nothing to the scatter.
        free = self.weights * (1 - 1 / self.counts) * _is_leaf(self.labels, self.labels)
        share = (factors @ free) / free.sum() if free.any() else 1.0
        return replace(
            self,
            weights=weights,
            sums=self.sums * factors[:, None],
            profiles=self.profiles * factors[:, None],
            scatter=self.scatter * share,
        )

    @cached_property
    def by_species(self) -> ClassStatistics:
        """The statistics of the same photos, labeled with their species alone.

        Photos of unknown breed are assumed to scatter within their breeds like the others.
        """
        tree = self.taxonomy
        membership = np.array([[label.species == name for label in self.labels] for name in tree.species], float)
        rows = _Rows(*((membership @ column).astype(column.dtype) for column in self._rows(self.labels)))
        offsets = self.means - (rows.sums / rows.weights[:, None])[membership.argmax(axis=0)]
        scaled = offsets * np.sqrt(self.weights)[:, None]
        within = self.covariance * rows.weights.sum()
        return _joined(tuple(Leaf(name, None) for name in tree.species), rows, within + scaled.T @ scaled)

    @property
    def taxonomy(self) -> Taxonomy:
        """The sorted taxonomy of the labels."""
        return Taxonomy.from_pairs(self.labels)

    @property
    def means(self) -> np.ndarray:
        """float64 [K, D]: the mean features of each class."""
        return self.sums / self.weights[:, None]

    @property
    def covariance(self) -> np.ndarray:
        """float64 [D, D]: the mean covariance of features within a leaf."""
        return self.scatter / self.covariance_weight

    @property
    def covariance_weight(self) -> float:
        """The total weight of the photos of leaves."""
        return float(self.weights[_is_leaf(self.labels, self.labels)].sum())

    def factor(self, shrinkage: float) -> np.ndarray:
        """Return the lower Cholesky factor, float64 [D, D], of (1 - shrinkage) S + shrinkage tr(S)/D I.

        S is the covariance. The factor is cached, because computing it takes most of the time of a fit.
        """
        if shrinkage not in self._factors:
            # Without any shrinkage, S is singular if there are fewer photos than features.
            try:
                self._factors[shrinkage] = self._factor(max(shrinkage, 1e-6))
            except LinAlgError:
                self._factors[shrinkage] = self._factor(ROUNDED)
        return self._factors[shrinkage]

    def _factor(self, shrinkage: float) -> np.ndarray:
        shrunk = self.scatter * ((1 - shrinkage) / self.covariance_weight)
        mean_variance = max(float(np.trace(self.scatter)) / self.covariance_weight / len(shrunk), 1e-12)
        shrunk.flat[:: len(shrunk) + 1] += shrinkage * mean_variance
        # OpenBLAS's threads wait for each other at every block: two on idle cores took twice as long as one, and twenty
        # times as long when other processes were running. One thread also gives the same bits on any machine.
        with _libraries().limit(limits=1, user_api="blas"):
            return cholesky(shrunk, lower=True, overwrite_a=True)

    @cached_property
    def _factors(self) -> dict[float, np.ndarray]:
        return {}

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The labels that are leaves."""
        is_leaf = _is_leaf(self.labels, self.labels)
        return tuple(label for label, chosen in zip(self.labels, is_leaf, strict=True) if chosen)

    def means_of(self, labels: Sequence[Leaf]) -> np.ndarray:
        """Return the mean features, float64 [len(labels), D], of classes that each have a photo."""
        return self.means[[self.labels.index(label) for label in labels]]

    def profiles_of(self, labels: Sequence[Leaf]) -> np.ndarray:
        """Return the mean pretrained probabilities, float64 [len(labels), P], of classes that each have a photo."""
        return (self.profiles / self.weights[:, None])[[self.labels.index(label) for label in labels]]

    def counts_of(self, labels: Sequence[Leaf]) -> np.ndarray:
        """Return the number of photos of each class, int64 [len(labels)]; 0 for one that has none."""
        count = dict(zip(self.labels, self.counts.tolist(), strict=True))
        return np.array([count.get(label, 0) for label in labels], np.int64)

    def holds_every_class(self, taxonomy: Taxonomy) -> bool:
        """Whether every leaf of a taxonomy has a photo, as fitting heads requires."""
        return {*taxonomy.leaves} <= {*self.labels}

    def _rows(self, labels: Sequence[Leaf]) -> _Rows:
        """Return one row per label, with zeros for a label that has no photo."""
        at = [labels.index(label) for label in self.labels]
        columns = self.counts, self.weights, self.sums, self.profiles
        spread = [np.zeros((len(labels), *column.shape[1:]), column.dtype) for column in columns]
        for whole, column in zip(spread, columns, strict=True):
            whole[at] = column
        return _Rows(*spread)


class _Rows(NamedTuple):
    """The arrays of :class:`ClassStatistics` that have one row per label."""

    counts: np.ndarray
    weights: np.ndarray
    sums: np.ndarray
    profiles: np.ndarray


@cache
def _libraries() -> ThreadpoolController:
    """Return the controller of the loaded BLAS libraries, cached because finding them takes milliseconds."""
    return ThreadpoolController()


def _joined(labels: Sequence[Leaf], rows: _Rows, scatter: np.ndarray) -> ClassStatistics:
    """Build statistics from rows, without the labels that have no photo."""
    kept = rows.counts > 0
    counts, weights, sums, profiles = (column[kept] for column in rows)
    chosen = tuple(label for label, keep in zip(labels, kept, strict=True) if keep)
    return ClassStatistics(chosen, counts, weights, sums, profiles, scatter)


def _is_leaf(labels: Sequence[Leaf], known: Iterable[Leaf]) -> np.ndarray:
    """Return bool [K]: whether each label names a breed, or its species has none among the ``known`` labels."""
    with_breeds = {label.species for label in known if label.breed is not None}
    return np.array([label.breed is not None or label.species not in with_breeds for label in labels], bool)


def _between(a: _Rows, b: _Rows, leaf: np.ndarray) -> np.ndarray:
    """Return the scatter, float64 [D, D], that two sets have between them because their class means differ."""
    both = leaf & (a.counts > 0) & (b.counts > 0)
    a, b = (_Rows(*(column[both] for column in rows)) for rows in (a, b))
    offsets = a.sums / a.weights[:, None] - b.sums / b.weights[:, None]
    scaled = offsets * np.sqrt(a.weights * b.weights / (a.weights + b.weights))[:, None]
    return scaled.T @ scaled
