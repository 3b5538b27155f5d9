"""Correct logits for the class prior that a sampler induces. Pure numpy."""

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
    """Corrections to add to the species logits [S] and to the leaf logits [L], float64."""

    species: np.ndarray
    leaf: np.ndarray

    @property
    def undone(self) -> PriorShift:
        """The corrections that undo these."""
        return PriorShift(-self.species, -self.leaf)


class Masses(NamedTuple):
    """Total weight of the photos of each species [S] and of each leaf [L], float64.

    Photos of unknown breed count for their species alone.
    """

    species: np.ndarray
    leaf: np.ndarray


def weigh_classes(weights: np.ndarray, labels: Labels, taxonomy: Taxonomy) -> Masses:
    """Add up the ``weights`` [N] of photos by species and by leaf."""
    known = labels.breed_known
    return Masses(
        np.bincount(labels.species, weights, minlength=len(taxonomy.species)),
        np.bincount(labels.leaf[known], weights[known], minlength=len(taxonomy.leaves)),
    )


def equal_masses(taxonomy: Taxonomy) -> Masses:
    """Return equal masses for all species and for all leaves: the prior of LDA heads."""
    return Masses(np.ones(len(taxonomy.species)), np.ones(len(taxonomy.leaves)))


def head_prior_shift(
    seen: Masses, counts: Masses, taxonomy: Taxonomy, *, target: Prior, combiner: Combiner
) -> PriorShift:
    """Return the corrections for two heads that were fitted separately, one to all species and one to all leaves.

    Each head has learned a prior of its own, ``seen``: that of the weights of its photos, or a uniform one. Both are
    replaced by the target, so that the species prior counts once: in the species head, or under ``flat`` in the leaves.
    ``counts`` are numbers of photos, which define the target ``data``.
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
    """Return the corrections from the prior of ``weights`` [N] to the target, for levels that were trained together.

    A classifier trained to convergence on photos drawn (or weighted) by ``weights`` predicts with their prior; adding
    the log-ratio of another prior to that one to its logits makes it predict with the other (Saerens et al., Neural
    Computation 2002; Menon et al., ICLR 2021). ``uniform``: all species are equally likely, and all breeds within a
    species. ``data``: classes are as frequent as in the data. A class without photos keeps its logit.

    The correction is exact under ``flat`` and ``shared_softmax`` for any weights. Under ``conditional`` it is exact for
    breeds, and for a species if all its breeds have the same weight; otherwise the species is right only on average,
    because its features depend on the mixture of its breeds.
    """
    counts = weigh_classes(np.ones(len(labels)), labels, taxonomy)
    seen, wanted = _log_prior(weigh_classes(weights, labels, taxonomy), taxonomy), _target(counts, taxonomy, target)
    species, leaf = (_shift(old, new) for old, new in zip(seen, wanted, strict=True))
    if combiner == "flat":  # the species logits are unused: the leaves carry both
        return PriorShift(np.zeros_like(species), leaf + species[taxonomy.leaf_species])
    return PriorShift(species, leaf)


def _target(counts: Masses, taxonomy: Taxonomy, target: Prior) -> tuple[np.ndarray, np.ndarray]:
    """Return the target prior: log P(species) [S], log P(breed | species) [L]."""
    if target == "data":
        return _log_prior(counts, taxonomy)
    sizes = np.array([columns.stop - columns.start for columns in taxonomy.slices])
    return -np.log(np.full(len(sizes), float(len(sizes)))), -np.log(sizes.astype(float))[taxonomy.leaf_species]


def _log_prior(masses: Masses, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(species) [S] and log P(breed | species) [L]; -inf where there is no mass."""
    breeds = np.concatenate([_log_share(masses.leaf[columns]) for columns in taxonomy.slices])
    return _log_share(masses.species), breeds


def _log_share(masses: np.ndarray) -> np.ndarray:
    """Return the log of each mass [K] over their sum; -inf where there is none."""
    with np.errstate(divide="ignore"):
        return np.log(masses / (masses.sum() or 1.0))


def _shift(seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return ``wanted - seen``, and zero for a class without photos, which has no prior to undo."""
    return np.subtract(wanted, seen, out=np.zeros_like(seen), where=np.isfinite(seen))
