"""What a training step minimizes: the loss of perhaps mixed photos, perhaps held near the start's answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from hierpets.config import FinetuneConfig
from hierpets.hierarchy.probabilities import Combiner
from hierpets.taxonomy import Taxonomy
from hierpets.training.finetuning.loss import HierarchicalLoss, LogLevels, Targets, distillation_loss, log_levels
from hierpets.training.finetuning.mixup import draw_shares, partners
from hierpets.training.finetuning.sampling import BatchPlan

__all__ = ["Objective"]


@dataclass(frozen=True)
class Objective:
    """``teacher`` is the frozen start, or None where nothing is distilled."""

    taxonomy: Taxonomy
    combiner: Combiner
    settings: FinetuneConfig
    plan: BatchPlan
    autocast: torch.autocast
    teacher: nn.Module | None = None

    def __call__(
        self, network: nn.Module, images: torch.Tensor, targets: Targets, *, seed: tuple[int, ...]
    ) -> torch.Tensor:
        """The part that images [B, 3, h, w] of this process have in the mean loss of the step, a scalar.

        ``seed`` decides how rows are mixed.
        """
        loss = HierarchicalLoss(
            self.taxonomy, self.combiner, self.settings.species_loss_weight, self.settings.label_smoothing
        )
        if self.settings.mixup:
            images, own, partner = self._mix(images, seed)
            levels = self._answer(network, images)
            losses = own * loss(levels, targets) + (1 - own) * loss(levels, targets.rows(partner))
        else:
            levels = self._answer(network, images)
            losses = loss(levels, targets)
        if self.teacher is not None:
            with torch.no_grad():
                wanted = self._answer(self.teacher, images)
            losses = losses + self.settings.distillation * distillation_loss(levels, wanted, self.taxonomy)
        return losses.sum() / self.plan.rows

    def _answer(self, network: nn.Module, images: torch.Tensor) -> LogLevels:
        with self.autocast:
            output = network(images)
        return log_levels(output.species.float(), output.leaf.float(), self.taxonomy, self.combiner)

    def _mix(self, images: torch.Tensor, seed: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mixed images, the share of itself that each row keeps, and the row it is mixed with."""
        shares = draw_shares(self.plan.rows, alpha=self.settings.mixup, seed=seed)[self.plan.own_rows]
        own = torch.from_numpy(shares).to(images.device)
        partner = torch.from_numpy(partners(len(images))).to(images.device)
        return torch.lerp(images[partner], images, own[:, None, None, None]), own, partner
