"""The prior that a sampler induces, and how to undo it. Pure numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

__all__ = [
    "Masses",
    "PriorShift",
    "equal_masses",
    "head_prior_shift",
    "prior_shift",
    "weigh_classes",
]


class PriorShift(NamedTuple):
    """What to add to the species logits [S] and to the leaf logits [L], float64."""

    species: np.ndarray
    leaf: np.ndarray

    @property
    def undone(self) -> PriorShift:
        """From the target back to where it came from."""
        return PriorShift(-self.species, -self.leaf)


class Masses(NamedTuple):
    """How much each species [S] and each leaf [L] weighs, float64; what is of no known breed weighs for no leaf."""

    species: np.ndarray
    leaf: np.ndarray


def weigh_classes(weights: np.ndarray, labels: Labels, taxonomy: Taxonomy) -> Masses:
    """The masses of photos of these ``weights`` [N]."""
    known = labels.breed_known
    return Masses(
        np.bincount(labels.species, weights, minlength=len(taxonomy.species)),
        np.bincount(labels.leaf[known], weights[known], minlength=len(taxonomy.leaves)),
    )


def equal_masses(taxonomy: Taxonomy) -> Masses:
    """Every species as much as any other, and every leaf: what LDA has by itself."""
    return Masses(np.ones(len(taxonomy.species)), np.ones(len(taxonomy.leaves)))


def head_prior_shift(
    seen: Masses, counts: Masses, taxonomy: Taxonomy, *, target: Prior, combiner: Combiner
) -> PriorShift:
    """Corrections for two heads that were fitted apart, one to all species and one to all leaves.

    Each has learnt a prior of its own, ``seen``: that of the weights of its photos, or an equal one. Both are undone,
    so that the species is counted once: by the species head, or by the leaves where they carry both (``flat``).
    ``counts`` are photos, for the target ``data``.
    """
    wanted_species, wanted_breed = _target(counts, taxonomy, target)
    if combiner == "flat":  # the species logits are unused
        wanted_breed = wanted_breed + wanted_species[taxonomy.leaf_species]
    return PriorShift(_shift(_log_share(seen.species), wanted_species), _shift(_log_share(seen.leaf), wanted_breed))


def prior_shift(
    weights: np.ndarray,
    labels: Labels,
    taxonomy: Taxonomy,
    *,
    target: Prior = "uniform",
    combiner: Combiner = "conditional",
) -> PriorShift:
    """Corrections for a network whose levels were trained together, from the prior of ``weights`` [N] to the target.

    A classifier trained to convergence on photos drawn (or weighted) by ``weights`` predicts with their prior; adding
    the log-ratio of two priors to its logits predicts with the other (Saerens et al., Neural Computation 2002; Menon et
    al., ICLR 2021). ``uniform``: every species is as likely as any other, and every breed within its species. ``data``:
    as often as in the data. A class without a photo keeps its logit.

    Under ``flat`` and ``shared_softmax`` this is exact for any weights. Under ``conditional`` the breeds are, and so is
    the species where all breeds of a species weigh alike; where they do not, the species is right on average only,
    because another mixture of breeds makes another kind of cat.
    """
    counts = weigh_classes(np.ones(len(labels)), labels, taxonomy)
    seen, wanted = _log_prior(weigh_classes(weights, labels, taxonomy), taxonomy), _target(counts, taxonomy, target)
    species, leaf = (_shift(old, new) for old, new in zip(seen, wanted, strict=True))
    if combiner == "flat":  # the species logits are unused: the leaves carry both
        return PriorShift(np.zeros_like(species), leaf + species[taxonomy.leaf_species])
    return PriorShift(species, leaf)


def _target(counts: Masses, taxonomy: Taxonomy, target: Prior) -> tuple[np.ndarray, np.ndarray]:
    if target == "data":
        return _log_prior(counts, taxonomy)
    sizes = np.array([columns.stop - columns.start for columns in taxonomy.slices])
    return -np.log(np.full(len(sizes), float(len(sizes)))), -np.log(sizes.astype(float))[taxonomy.leaf_species]


def _log_prior(masses: Masses, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """log P(species) [S], log P(breed | species) [L]; -inf where there is no mass."""
    breeds = np.concatenate([_log_share(masses.leaf[columns]) for columns in taxonomy.slices])
    return _log_share(masses.species), breeds


def _log_share(masses: np.ndarray) -> np.ndarray:
    """The log of each mass [K] over their sum; -inf where there is none."""
    with np.errstate(divide="ignore"):
        return np.log(masses / (masses.sum() or 1.0))


def _shift(seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Zero where a class has no photo: there is no prior to undo."""
    return np.subtract(wanted, seen, out=np.zeros_like(seen), where=np.isfinite(seen))
