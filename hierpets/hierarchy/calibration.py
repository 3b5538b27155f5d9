"""Temperature scaling: one temperature per head, so that probabilities are calibrated (Guo et al., ICML 2017)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from hierpets.hierarchy.probabilities import Combiner, joint_probabilities, log_softmax
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.validation.strict import StrictModel

__all__ = ["Temperatures", "fit_temperature", "fit_temperatures"]

LOG_BOUNDS = (np.log(0.05), np.log(10_000.0))  # logits of few photos may be in thousands
TOLERANCE = 1e-4  # of the logarithm


class Temperatures(StrictModel):
    """Divisors of the logits: one for the species head, one for the breed head of each species. 1 changes nothing."""

    species: float = Field(default=1.0, gt=0)
    breeds: dict[str, float] = {}

    def apply(
        self, species_logits: np.ndarray, leaf_logits: np.ndarray, taxonomy: Taxonomy
    ) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated logits of the same shapes, [N, S] and [N, L]."""
        return species_logits / self.species, leaf_logits / self.divisors(taxonomy)[taxonomy.leaf_species]

    def joint(
        self,
        species_logits: np.ndarray,
        leaf_logits: np.ndarray,
        taxonomy: Taxonomy,
        *,
        combiner: Combiner = "conditional",
    ) -> np.ndarray:
        """Calibrated joint probabilities of logits [N, S] and [N, L]: float64 [N, L]."""
        return joint_probabilities(*self.apply(species_logits, leaf_logits, taxonomy), taxonomy, combiner=combiner)

    def divisors(self, taxonomy: Taxonomy) -> np.ndarray:
        """The temperature of the breed logits of each species, float64 [S]."""
        return np.array([self.breeds.get(name, 1.0) for name in taxonomy.species])


def fit_temperature(
    logits: np.ndarray, labels: np.ndarray, expected: float = 1.0, weights: np.ndarray | None = None
) -> float:
    """The temperature that minimizes the negative log-likelihood of labels [N] under logits [N, K]; the ``expected``
    one if none is better. ``weights`` [N] are how many photos each row counts as, by default one.

    The likelihood is unimodal in the temperature, so a bounded search over its logarithm finds the optimum. If every
    photo is right, the likelihood would grow without limit as the temperature falls: a normal prior on the logarithm,
    centered at the expected one with variance 1, bounds it, and weighs no more than one photo among many.
    """
    if len(labels) == 0 or logits.shape[1] < 2:
        return expected
    from scipy.optimize import minimize_scalar  # not imported by prediction

    rows, center = np.arange(len(labels)), float(np.log(expected))

    def loss(log_temperature: float) -> float:
        nll = -log_softmax(logits / np.exp(log_temperature))[rows, labels]
        total = nll.sum() if weights is None else nll @ weights
        return float(total + 0.5 * (log_temperature - center) ** 2) / len(labels)

    best = minimize_scalar(loss, bounds=LOG_BOUNDS, method="bounded", options={"xatol": TOLERANCE}).x
    return float(np.exp(best)) if loss(best) < loss(center) else expected


def fit_temperatures(
    species_logits: np.ndarray,
    leaf_logits: np.ndarray,
    *,
    species: np.ndarray,
    leaf: np.ndarray,
    taxonomy: Taxonomy,
) -> Temperatures:
    """Fit the temperature of every head on photos that the heads were not trained on.

    ``species_logits`` [N, S], ``leaf_logits`` [N, L], ``species`` int [N], ``leaf`` int [N] (-1: unknown, ignored).
    """
    breeds = {}
    for s, (name, columns) in enumerate(zip(taxonomy.species, taxonomy.slices, strict=True)):
        rows = (species == s) & (leaf != UNKNOWN_LEAF)
        breeds[name] = fit_temperature(leaf_logits[rows, columns], leaf[rows] - columns.start)
    return Temperatures(species=fit_temperature(species_logits, species), breeds=breeds)
