"""Fit the weights of the species head and the pretrained head in the species logits, to trained and held-out breeds.

A species head fitted to a few breeds may be wrong about others: fitted to two breeds of cats and two of dogs, it takes
a third of all other dogs for cats, with high confidence. The pretrained head has seen a hundred more breeds.
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
"""Prior mean of the weights, and their value if no breed was held out. The weight of the head applies to logits in
units of :func:`species_margin`. This and :data:`SPREAD` were chosen with EfficientNet-Lite0 on photos of Oxford-IIIT
Pet and from elsewhere (docs/experiments.md)."""
SPREAD = 0.5
"""Prior standard deviation of the logarithms of both weights."""
FARTHEST = 6.0  # bound of the distance of a logarithm from its prior mean


class SpeciesPhotos(NamedTuple):
    """What both heads say of the species of N photos, and the true ``species``, int [N].

    ``logits`` [N, S] are those of a species head that did not see the photos, in units of its margin, ``masses`` [N, S]
    the log of the probability mass that the pretrained head gives to each species.
    """

    logits: np.ndarray
    masses: np.ndarray
    species: np.ndarray

    def nll(self, weights: SpeciesWeights) -> float:
        """Return the mean negative log-likelihood of the true species."""
        # In float32, the loss would be flat to the small steps of the optimizer's numerical gradients.
        logits, masses = self.logits.astype(np.float64), self.masses.astype(np.float64)
        log_probabilities = log_softmax(weights.head * logits + weights.pretrained * masses)
        return -float(log_probabilities[np.arange(len(self.species)), self.species].mean())


def fit_species_weights(trained: SpeciesPhotos, others: SpeciesPhotos) -> SpeciesWeights:
    """Fit the weights by maximum a posteriori to photos of ``trained`` and of ``others``, held-out breeds.

    Both count by how often they are expected in use. Without others, the result is :data:`EXPECTED`. The likelihood
    alone would let the weights grow without limit if a head is right about all of few photos. So there is a normal
    prior on their logarithms, which counts as much as a single photo.
    """
    if not len(others.species) or not len(trained.species):
        return EXPECTED
    from scipy.optimize import minimize  # here, because prediction does not need it

    share = population_shares(())
    expected = np.log(EXPECTED)

    def loss(logarithms: np.ndarray) -> float:
        weights = SpeciesWeights(*np.exp(logarithms).tolist())
        penalty = 0.5 * float((((logarithms - expected) / SPREAD) ** 2).sum()) / len(trained.species)
        return share["trained"] * trained.nll(weights) + share["unlisted"] * others.nll(weights) + penalty

    bounds = [(at - FARTHEST, at + FARTHEST) for at in expected]
    return SpeciesWeights(*np.exp(minimize(loss, expected, method="L-BFGS-B", bounds=bounds).x).tolist())


def species_margin(head: Linear, statistics: ClassStatistics, species: Sequence[str]) -> float:
    """Return the median lead of the right species' logit, over the mean features of each species.

    The logits of a linear discriminant grow with the distance between its classes, tenfold from ten breeds to one.
    Divided by this margin, their meaning depends far less on the training photos.
    """
    if len(species) < 2:
        return 1.0
    logits = head(statistics.by_species.means_of([Leaf(name, None) for name in species]))
    own = np.diag(logits).copy()
    np.fill_diagonal(logits, -np.inf)
    return max(float(np.median(own - logits.max(axis=1))), 1.0)
