"""The network while it learns: with its optimizer and its moving average, one step at a time."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any, cast

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel

from hierpets.config import TrainConfig
from hierpets.data.index import PhotoIndex
from hierpets.errors import ConfigError
from hierpets.model.network import HierarchicalNetwork
from hierpets.training.distributed import DistributedContext
from hierpets.training.finetuning.loss import Targets
from hierpets.training.finetuning.moving_average import moving_average
from hierpets.training.finetuning.objective import Objective
from hierpets.training.finetuning.optimizer import build_optimizer, freeze, freeze_statistics, set_rates
from hierpets.training.finetuning.precision import autocast
from hierpets.training.finetuning.sampling import BatchPlan
from hierpets.training.finetuning.schedule import rate_factor

__all__ = ["Learner", "Weights", "copy_weights"]

Weights = dict[str, torch.Tensor]


class Learner:
    """``network`` is trained in place, ``averaged`` follows it, ``start`` keeps what it was."""

    def __init__(
        self,
        network: HierarchicalNetwork,
        train: PhotoIndex,
        *,
        weights: np.ndarray,
        config: TrainConfig,
        device: str,
        processes: DistributedContext,
    ):
        self.settings, self.seed, self.device, self.processes = config.finetune, config.seed, device, processes
        even = np.ones(len(train))
        draw, weigh = (weights, even) if self.settings.balance == "draw" else (even, weights)
        self.plan = BatchPlan(
            draw, self.settings.batch_size, seed=config.seed, rank=processes.rank, processes=processes.world_size
        )
        self.targets = _targets(train, weigh, device)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        # Under the flat combiner the species head answers nothing, and so learns nothing.
        freeze(network, trainable_fraction=self.settings.trainable_fraction, species_head=config.combiner != "flat")
        self._trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        # Wrapping gives every process the weights of the main one, so it comes before any copy is taken.
        self._forward = _wrap(network, device) if processes.world_size > 1 else network
        self.start = copy_weights(network)
        self.average = moving_average(network, self.settings.ema_decay)
        self.optimizer = build_optimizer(network, self.settings)
        self._teacher = deepcopy(network).eval().requires_grad_(False) if self.settings.distillation else None
        self._objective = Objective(
            taxonomy=network.taxonomy,
            combiner=config.combiner,
            settings=self.settings,
            plan=self.plan,
            autocast=autocast(device, self.settings.precision),
            teacher=self._teacher,
        )

    @property
    def averaged(self) -> HierarchicalNetwork:
        """The moving average as a network."""
        return cast(HierarchicalNetwork, self.average.module)

    def begin_epoch(self) -> None:
        """Training mode again, after a validation."""
        freeze_statistics(self.network)

    def train_step(self, rows: np.ndarray, inputs: np.ndarray, *, epoch: int, step: int) -> float:
        """Learn from photos int64 [B] with inputs [B, 3, h, w]; the mean loss over the batches of all processes.

        :raises ConfigError: the loss or its gradient is not finite.
        """
        # Random numbers in the network (dropout) depend on the step alone, not on what ran before.
        sequence = np.random.SeedSequence([self.seed, epoch, step, self.processes.rank])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        set_rates(self.optimizer, self._rate_factor(epoch, step))
        self.optimizer.zero_grad()
        images = torch.from_numpy(inputs).to(self.device, memory_format=torch.channels_last)
        targets = self.targets.rows(torch.from_numpy(rows).to(self.device))
        part = self._objective(self._forward, images, targets, seed=(self.seed, epoch, step))
        (part * self.processes.world_size).backward()  # gradients are averaged over processes, and a sum is wanted
        norm = float(torch.nn.utils.clip_grad_norm_(self._trainable, self.settings.max_gradient_norm))
        loss = self.processes.sum(part.detach())
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise _diverged(loss, norm, f"epoch {epoch + 1}, step {step + 1}")
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return loss

    def state(self) -> dict[str, Any]:
        """All that :meth:`load_state` needs to go on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "start": self.start,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the learner whose :meth:`state` this was; copies what it needs."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.start = {name: tensor.to(self.device) for name, tensor in state["start"].items()}
        if self._teacher is not None:
            self._teacher.load_state_dict(self.start)

    def _rate_factor(self, epoch: int, step: int) -> float:
        steps = self.plan.steps
        warmup = round(self.settings.warmup_epochs * steps)
        return rate_factor(epoch * steps + step, warmup=warmup, total=self.settings.epochs * steps)


def copy_weights(module: torch.nn.Module) -> Weights:
    """A copy that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _targets(train: PhotoIndex, weights: np.ndarray, device: str) -> Targets:
    """The labels of all training photos; weights of mean 1."""
    labels = train.labels()
    columns = labels.species, labels.leaf, (weights / weights.mean()).astype(np.float32)
    return Targets(*(torch.from_numpy(column).to(device) for column in columns))


def _wrap(network: HierarchicalNetwork, device: str) -> DistributedDataParallel:
    ids = [torch.cuda.current_device()] if device.startswith("cuda") else None
    return DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)


def _diverged(loss: float, norm: float, where: str) -> ConfigError:
    return ConfigError(
        f"training diverged in {where}: expected a finite loss and gradient, got {loss} and {norm}; lower "
        "finetune.learning_rate and finetune.head_learning_rate, or set finetune.precision to f32"
    )
