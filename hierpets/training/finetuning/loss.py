"""The loss: the negative log-likelihood of each photo's species, and of its breed if known, for every combiner."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hierpets.hierarchy.probabilities import Combiner
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["LogLevels", "Targets", "hierarchical_loss", "log_levels"]


class LogLevels(NamedTuple):
    """``species`` [B, S]: log P(species). ``breed`` [B, L]: log P(breed | its species). Their sum is the log joint."""

    species: torch.Tensor
    breed: torch.Tensor


class Targets(NamedTuple):
    """``species`` int64 [B], ``leaf`` int64 [B] (-1: breed unknown), ``weight`` float [B]."""

    species: torch.Tensor
    leaf: torch.Tensor
    weight: torch.Tensor

    def rows(self, rows: torch.Tensor) -> Targets:
        """Return the targets of ``rows``, int64 [M], in that order."""
        return Targets(*(column[rows] for column in self))


def log_levels(
    species_logits: torch.Tensor, leaf_logits: torch.Tensor, taxonomy: Taxonomy, combiner: Combiner
) -> LogLevels:
    """Return the two levels of the joint probability that ``hierarchy.probabilities`` defines, with gradients.

    ``species_logits`` [B, S], ``leaf_logits`` [B, L]. Under every combiner, P(breed | species) is a softmax over the
    breeds of the species, since a species logit adds the same to all of them. Only P(species) differs.
    """
    masses = [torch.logsumexp(leaf_logits[:, columns], dim=1, keepdim=True) for columns in taxonomy.slices]
    breed = torch.cat([leaf_logits[:, c] - mass for c, mass in zip(taxonomy.slices, masses, strict=True)], dim=1)
    if combiner == "shared_softmax":
        species_logits = species_logits + torch.cat(masses, dim=1)
    elif combiner == "flat":
        species_logits = torch.cat(masses, dim=1)
    return LogLevels(torch.log_softmax(species_logits, dim=1), breed)


def hierarchical_loss(levels: LogLevels, targets: Targets) -> torch.Tensor:
    """Return the weighted negative log-likelihood of each label, float [B].

    It is that of the leaf, or of the species if the breed is unknown. It is not summed, so that each process can add up
    its part of a batch.
    """
    species = -_picked(levels.species, targets.species)
    # For an unknown breed, any column will do: the mask drops it, and its gradient is exactly zero.
    breed = -_picked(levels.breed, targets.leaf.clamp(min=0))
    return targets.weight * (species + torch.where(targets.leaf != UNKNOWN_LEAF, breed, 0.0))


def _picked(log_p: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return log_p.gather(1, columns[:, None]).squeeze(1)
