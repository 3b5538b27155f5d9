"""How much the species head and the pretrained head have a say in the species, fitted to photos of breeds that were
trained and of breeds that no photo taught.

A species head that saw a few breeds has never been asked about others: fitted to two breeds of cats and two of dogs, it
takes a third of all other dogs for cats, and is certain of it. The pretrained head saw a hundred more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hierpets.hierarchy.policy import population_shares
from hierpets.hierarchy.probabilities import log_softmax
from hierpets.model.heads import Linear
from hierpets.model.mixture import SpeciesWeights
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf

__all__ = ["SpeciesPhotos", "fit_species_weights", "species_margin"]

EXPECTED = SpeciesWeights(5.0, 0.4)
"""Where no breed was held out, and near that where few were: the first of logits in units of :func:`species_margin`.
Chosen with EfficientNet-Lite0 on photos of Oxford-IIIT Pet and from elsewhere, as is the next
(docs/experiments.md)."""
SPREAD = 0.5
"""The standard deviation of what is believed of the logarithms of both weights beforehand."""
FARTHEST = 6.0  # of a logarithm from what is expected


class SpeciesPhotos(NamedTuple):
    """What is said of N photos: ``logits`` [N, S] of a species head that did not see them, in units of its margin, and
    ``masses`` [N, S], the log of what the pretrained head gives to each species. ``species`` int [N] is true.
    """

    logits: np.ndarray
    masses: np.ndarray
    species: np.ndarray

    def surprise(self, weights: SpeciesWeights) -> float:
        """The mean negative log-likelihood."""
        # In float32 it would be flat to the steps by which the search finds its way.
        logits, masses = self.logits.astype(np.float64), self.masses.astype(np.float64)
        log_probabilities = log_softmax(weights.head * logits + weights.pretrained * masses)
        return -float(log_probabilities[np.arange(len(self.species)), self.species].mean())


def fit_species_weights(trained: SpeciesPhotos, others: SpeciesPhotos) -> SpeciesWeights:
    """The weights under which the true species of photos of ``trained`` breeds and of ``others`` is likeliest, as often
    as each is expected to be asked about; :data:`EXPECTED` without others.

    Nothing limits how sure a head is that is right about all of few photos: a normal prior on the logarithms of the
    weights does, and counts as little as one photo among many.
    """
    if not len(others.species) or not len(trained.species):
        return EXPECTED
    from scipy.optimize import minimize  # which prediction does without

    share = population_shares(())
    expected = np.log(EXPECTED)

    def loss(logarithms: np.ndarray) -> float:
        weights = SpeciesWeights(*np.exp(logarithms).tolist())
        doubt = 0.5 * float((((logarithms - expected) / SPREAD) ** 2).sum()) / len(trained.species)
        return share["trained"] * trained.surprise(weights) + share["unlisted"] * others.surprise(weights) + doubt

    bounds = [(at - FARTHEST, at + FARTHEST) for at in expected]
    return SpeciesWeights(*np.exp(minimize(loss, expected, method="L-BFGS-B", bounds=bounds).x).tolist())


def species_margin(head: Linear, statistics: ClassStatistics, species: Sequence[str]) -> float:
    """How far a species head leads with the right species where it sees the mean photo of one: the median over all.

    Logits of a linear discriminant grow with the distance between its classes, tenfold from ten breeds to one. In these
    units, what they are worth depends far less on the photos.
    """
    if len(species) < 2:
        return 1.0
    logits = head(statistics.by_species.means_of([Leaf(name, None) for name in species]))
    own = np.diag(logits).copy()
    np.fill_diagonal(logits, -np.inf)
    return max(float(np.median(own - logits.max(axis=1))), 1.0)
