"""Fit the gate between trained, pretrained and unlisted breeds to held-out photos."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.hierarchy.policy import ENOUGH_OTHERS, Population, population_shares
from hierpets.model.mixture import GATE_CLASSES, BreedGate
from hierpets.model.ood import SIGNALS

__all__ = ["GatePhotos", "GateSource", "fit_gate", "gate_sources"]

PLAIN: tuple[Population, ...] = ("trained", "unlisted")  # the classes of a species without pretrained breeds


class GatePhotos(NamedTuple):
    """``signals`` float [N, S, 7] of N photos of one of the gate's classes, and their ``species`` int [N]."""

    signals: np.ndarray
    species: np.ndarray

    def of(self, species: int) -> np.ndarray:
        """Return the signals, float [M, 7], of the photos of a species for that species."""
        return self.signals[self.species == species, species]

    @property
    def own(self) -> np.ndarray:
        """float [N, 7]: the signals of each photo for its own species."""
        return self.signals[np.arange(len(self.species)), self.species]

    def where(self, rows: np.ndarray) -> GatePhotos:
        """Return the photos where ``rows``, bool [N], is true."""
        return GatePhotos(self.signals[rows], self.species[rows])


class GateSource(NamedTuple):
    """The photos that the gate of a species is fitted to: those of some classes, of its ``own`` or of all species."""

    classes: tuple[Population, ...]
    own: bool

    def groups(self, photos: Sequence[GatePhotos], species: int) -> list[np.ndarray]:
        """Return the signals, float [M, 7], of each class; ``photos`` are those of :data:`GATE_CLASSES`."""
        chosen = (photos[GATE_CLASSES.index(name)] for name in self.classes)
        return [group.of(species) if self.own else group.own for group in chosen]


def gate_sources(
    photos: Sequence[GatePhotos], *, species: int, extended: Collection[int]
) -> tuple[GateSource | None, ...]:
    """Choose the photos that the gate of each of ``species`` species is fitted to, among those of :data:`GATE_CLASSES`.

    A species that is not ``extended`` has no pretrained breeds. A species with too few held-out photos uses those of
    all species; if these are too few as well, or it has no photo of a trained breed, it has no gate: None.
    """

    def source(s: int) -> GateSource | None:
        sources = (GateSource(GATE_CLASSES if s in extended else PLAIN, own=True), GateSource(PLAIN, own=False))
        enough = (one for one in sources if min(map(len, one.groups(photos, s))) >= ENOUGH_OTHERS)
        return next(enough, None) if len(photos[0].of(s)) else None

    return tuple(map(source, range(species)))


def fit_gate(photos: Sequence[GatePhotos], sources: Sequence[GateSource | None]) -> BreedGate:
    """Fit a gate for each species by logistic regression on photos of :data:`GATE_CLASSES`.

    The photos may be fewer than those that the ``sources`` were chosen by. Without a source, or without photos of a
    class, the gate stays closed: every photo counts as one of a trained breed.
    """
    gate = BreedGate.closed(len(sources))
    center, scale = _standard(photos)
    weight, bias = gate.weight.copy(), gate.bias.copy()
    for s, source in enumerate(sources):
        trained = photos[0].of(s)
        if source is None or not len(trained) or not all(map(len, groups := source.groups(photos, s))):
            continue
        # Leave out signals that are constant, such as the margin of a single breed, or of two if one is held out.
        varies = np.all([np.ptp(group, axis=0) > 0 for group in (trained, *groups)], axis=0)
        groups = [np.where(varies, group, center) for group in groups]
        classes, shares = [GATE_CLASSES.index(name) for name in source.classes], population_shares(source.classes)
        standard = [(group - center) / scale for group in groups]
        weight[s, classes], bias[s, classes] = _fit(standard, [shares[name] for name in source.classes])
    return BreedGate(center, scale, weight, bias)


def _standard(photos: Sequence[GatePhotos]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation, float32 [7] each, of the signals of each photo for its own species."""
    own = [group.own for group in photos]
    signals = np.concatenate([*own, np.zeros((2 * (not sum(map(len, own))), len(SIGNALS)))])
    scale = signals.std(axis=0)
    return signals.mean(axis=0).astype(np.float32), np.where(scale > 1e-6, scale, 1.0).astype(np.float32)


def _fit(groups: Sequence[np.ndarray], priors: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Fit weights [K, 7] and biases [K] of K classes, which count by ``priors``, not by their numbers of photos."""
    from sklearn.linear_model import LogisticRegression

    sizes = list(map(len, groups))
    labels = np.repeat(np.arange(len(groups)), sizes)
    weights = np.repeat(np.array(priors) / sizes, sizes) * (sum(sizes) / sum(priors))
    model = LogisticRegression(max_iter=1000).fit(np.concatenate(groups), labels, sample_weight=weights)
    if len(groups) == 2:  # scikit-learn has one row, of the second class against the first
        zero = np.zeros((1, len(SIGNALS)))
        return np.concatenate([zero, model.coef_]), np.concatenate([[0.0], model.intercept_])
    return model.coef_, model.intercept_
