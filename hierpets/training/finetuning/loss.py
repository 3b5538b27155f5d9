"""The loss: the negative log-likelihood of whatever is known of each photo, at both levels, for every combiner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from hierpets.hierarchy.probabilities import Combiner
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["HierarchicalLoss", "LogLevels", "Targets", "distillation_loss", "log_levels"]


class LogLevels(NamedTuple):
    """``species`` [B, S]: log P(species); ``breed`` [B, L]: log P(breed | its species). Their sum is the joint."""

    species: torch.Tensor
    breed: torch.Tensor

    def joint(self, taxonomy: Taxonomy) -> torch.Tensor:
        """Log of the joint probability of every leaf [B, L]."""
        return self.breed + self.species[:, torch.from_numpy(taxonomy.leaf_species).to(self.species.device)]


class Targets(NamedTuple):
    """``species`` int64 [B], ``leaf`` int64 [B] (-1: breed unknown), ``weight`` float [B]."""

    species: torch.Tensor
    leaf: torch.Tensor
    weight: torch.Tensor

    def rows(self, rows: torch.Tensor) -> Targets:
        """The targets of those rows, int64 [M], in that order."""
        return Targets(*(column[rows] for column in self))


def log_levels(
    species_logits: torch.Tensor, leaf_logits: torch.Tensor, taxonomy: Taxonomy, combiner: Combiner
) -> LogLevels:
    """The two levels of the joint that ``hierarchy.probabilities`` defines, with gradients.

    ``species_logits`` [B, S], ``leaf_logits`` [B, L]. Under every combiner P(breed | species) is a softmax over the
    breeds of that species: a species logit, where it is added, is the same for all of them. Only P(species) differs.
    """
    masses = [torch.logsumexp(leaf_logits[:, columns], dim=1, keepdim=True) for columns in taxonomy.slices]
    breed = torch.cat([leaf_logits[:, c] - mass for c, mass in zip(taxonomy.slices, masses, strict=True)], dim=1)
    if combiner == "shared_softmax":
        species_logits = species_logits + torch.cat(masses, dim=1)
    elif combiner == "flat":
        species_logits = torch.cat(masses, dim=1)
    return LogLevels(torch.log_softmax(species_logits, dim=1), breed)


@dataclass(frozen=True)
class HierarchicalLoss:
    """``species_weight * -log P(species) - log P(breed | species)``, the second term only where the breed is known.

    With a species weight of 1 and no smoothing it is the likelihood of what the label says: of the leaf, or of all
    leaves of the species. ``smoothing`` moves that share of a target to all species, and to all breeds of the species.
    """

    taxonomy: Taxonomy
    combiner: Combiner = "conditional"
    species_weight: float = 1.0
    smoothing: float = 0.0

    def __call__(self, levels: LogLevels, targets: Targets) -> torch.Tensor:
        """The weighted loss of each row, float [B]; not summed, so that a part of a batch knows its share."""
        species = self._smoothed(levels.species, targets.species, torch.ones_like(levels.species))
        siblings = self._siblings(levels.breed)[targets.species]
        # An unknown breed takes any column: the mask then drops it, and its gradient is exactly nought.
        breed = self._smoothed(levels.breed, targets.leaf.clamp(min=0), siblings)
        known = targets.leaf != UNKNOWN_LEAF
        return targets.weight * (self.species_weight * species + torch.where(known, breed, 0.0))

    def _smoothed(self, log_p: torch.Tensor, target: torch.Tensor, choices: torch.Tensor) -> torch.Tensor:
        hit = -log_p.gather(1, target[:, None]).squeeze(1)
        if not self.smoothing:
            return hit
        spread = -(log_p * choices).sum(dim=1) / choices.sum(dim=1)
        return (1 - self.smoothing) * hit + self.smoothing * spread

    def _siblings(self, like: torch.Tensor) -> torch.Tensor:
        """float [S, L]: 1 where a leaf belongs to a species."""
        owners = torch.from_numpy(self.taxonomy.leaf_species).to(like.device)
        return nn.functional.one_hot(owners, len(self.taxonomy.species)).T.to(like.dtype)


def distillation_loss(student: LogLevels, teacher: LogLevels, taxonomy: Taxonomy) -> torch.Tensor:
    """KL(teacher || student) of the joint distributions, float [B]; by the chain rule, both levels at once."""
    wanted = teacher.joint(taxonomy)
    return (wanted.exp() * (wanted - student.joint(taxonomy))).sum(dim=1)
