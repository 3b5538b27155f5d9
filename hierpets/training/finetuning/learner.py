"""A network in training, with its optimizer and its moving average, one step at a time."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, cast

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel

from hierpets.config import FinetunePrecision, TrainConfig
from hierpets.errors import ConfigError
from hierpets.model.cudnn import exact_float32
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Guard
from hierpets.training.distributed import DistributedContext
from hierpets.training.finetuning.averaging import moving_average
from hierpets.training.finetuning.batches import BatchPlan
from hierpets.training.finetuning.loss import Targets, hierarchical_loss, log_levels
from hierpets.training.finetuning.optimizer import build_optimizer, freeze, freeze_statistics, rate_factor, set_rates
from hierpets.training.splits import Splits

__all__ = ["Learner", "Weights", "copy_weights", "forward_dtype", "plan_batches"]

Weights = dict[str, torch.Tensor]


class Learner:
    """Train ``network`` in place; it stays on ``device``.

    ``averaged`` is its moving average, ``start`` holds its initial weights. ``guard`` is that of its backbone.
    """

    def __init__(
        self,
        network: HierarchicalNetwork,
        splits: Splits,
        config: TrainConfig,
        *,
        device: str,
        context: DistributedContext,
        guard: Guard = nullcontext,
    ):
        self.settings, self.seed, self.device, self.context = config.finetune, config.seed, device, context
        self.combiner = config.combiner
        self._guard = guard
        self.plan = plan_batches(splits.weights, config, context)
        self.targets = _targets(splits, weighted=self.settings.balance == "loss_weight", device=device)
        self.dtype = forward_dtype(device, self.settings.precision)
        # float16 gradients below 6e-8 would vanish, so the loss is scaled up, and the gradients down again.
        self.scaler = torch.amp.GradScaler(_kind(device), enabled=self.dtype == torch.float16)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        # Under the flat combiner, nothing depends on the species head.
        with guard():
            freeze(network, trainable_fraction=self.settings.trainable_fraction, species_head=config.combiner != "flat")
        self._trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        # Wrapping copies the main process's weights to all others, so it comes before any copy of the weights.
        wrapped: torch.nn.Module = _wrap(network, device) if context.world_size > 1 else network
        self._forward: Any = torch.compile(wrapped, dynamic=False) if self.settings.compile else wrapped
        self.start = copy_weights(network)
        self.average = moving_average(network, self.settings.ema_decay)
        self.optimizer = build_optimizer(network, self.settings, fused=device.startswith("cuda"))

    @property
    def averaged(self) -> HierarchicalNetwork:
        """The moving average as a network."""
        return cast(HierarchicalNetwork, self.average.module)

    def begin_epoch(self) -> None:
        """Return to training mode after a validation."""
        freeze_statistics(self.network)

    @exact_float32
    def train_step(self, rows: np.ndarray, inputs: np.ndarray, *, epoch: int, step: int) -> float:
        """Take one optimizer step on photos ``rows``, int64 [B], with ``inputs`` [B, 3, h, w].

        :returns: the mean loss over the batches of all processes.
        :raises ConfigError: the loss or its gradient is not finite.
        """
        # The network's random numbers (dropout) depend on the step alone, so that a resumed training is the same.
        sequence = np.random.SeedSequence([self.seed, epoch, step, self.context.rank])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        set_rates(self.optimizer, self._rate_factor(epoch, step))
        self.optimizer.zero_grad()
        images = self._upload(inputs)
        targets = self.targets.rows(torch.from_numpy(rows).to(self.device))
        part = self._loss(images, targets)
        # DistributedDataParallel averages gradients over processes, but their sum is needed.
        self.scaler.scale(part * self.context.world_size).backward()
        self.scaler.unscale_(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self._trainable, self.settings.max_gradient_norm))
        loss = self.context.sum(part.detach())
        if not (math.isfinite(loss) and (math.isfinite(norm) or self._overflowed())):
            raise _diverged(loss, norm, f"epoch {epoch + 1}, step {step + 1}")
        self.scaler.step(self.optimizer)  # skips the step if a gradient overflowed
        self.scaler.update()
        self.average.update_parameters(self.network)
        return loss

    def state(self) -> dict[str, Any]:
        """Return everything that :meth:`load_state` needs to continue."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "start": self.start,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a :meth:`state`; its tensors are copied."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty if the number format needed no scaler
            self.scaler.load_state_dict(state["scaler"])
        self.start = {name: tensor.to(self.device) for name, tensor in state["start"].items()}

    def _loss(self, images: torch.Tensor, targets: Targets) -> torch.Tensor:
        """Return the contribution of this process's images [B, 3, h, w] to the mean loss of the step, a scalar."""
        with self._guard(), torch.autocast(_kind(self.device), dtype=self.dtype, enabled=self.dtype != torch.float32):
            output = self._forward(images)
        levels = log_levels(output.species.float(), output.leaf.float(), self.network.taxonomy, self.combiner)
        return hierarchical_loss(levels, targets).sum() / self.plan.rows

    def _upload(self, inputs: np.ndarray) -> torch.Tensor:
        """Copy inputs [B, 3, h, w] to the device in channels_last; from pinned memory, a GPU copies asynchronously."""
        images = torch.from_numpy(inputs).contiguous(memory_format=torch.channels_last)
        if self.device.startswith("cuda"):
            images = images.pin_memory()
        return images.to(self.device, non_blocking=True)

    def _overflowed(self) -> bool:
        """Whether a gradient that is not finite may come from too large a loss scale, not from divergence."""
        return self.scaler.is_enabled() and self.scaler.get_scale() >= 1

    def _rate_factor(self, epoch: int, step: int) -> float:
        steps = self.plan.steps
        warmup = round(self.settings.warmup_epochs * steps)
        return rate_factor(epoch * steps + step, warmup=warmup, total=self.settings.epochs * steps)


def copy_weights(module: torch.nn.Module) -> Weights:
    """Return a copy of a module's weights that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def plan_batches(weights: np.ndarray, config: TrainConfig, context: DistributedContext) -> BatchPlan:
    """Plan the batches of this process, sampled by ``weights`` [N], or uniformly if these weight the loss instead.

    :raises ConfigError: more processes than photos per step.
    """
    sampling = weights if config.finetune.balance == "sample" else np.ones(len(weights))
    return BatchPlan(
        sampling, config.finetune.batch_size, seed=config.seed, rank=context.rank, world_size=context.world_size
    )


def forward_dtype(device: str, precision: FinetunePrecision) -> torch.dtype:
    """Return the number format of the forward pass.

    ``auto`` decides by the hardware's features, not by timing, so that runs are repeatable. On a CPU with AVX-512 BF16
    or AMX, bf16 was 1.3 to 1.5 times as fast as f32 on EfficientNet-Lite.

    :raises ConfigError: bf16 on a GPU that does not support it, or f16 on a CPU.
    """
    cuda = device.startswith("cuda")
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else _cpu_has_bf16()
    if precision == "auto":
        return torch.bfloat16 if has_bf16 else torch.float16 if cuda else torch.float32
    if precision == "bf16" and cuda and not has_bf16:
        raise ConfigError("finetune.precision: this GPU does not support bf16; use f16, f32 or auto")
    if precision == "f16" and not cuda:
        raise ConfigError("finetune.precision: f16 trains on a GPU only; use bf16, f32 or auto")
    return {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[precision]


def _cpu_has_bf16() -> bool:
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in older torch
    capabilities = get_capabilities() if get_capabilities is not None else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _kind(device: str) -> str:
    """Return the type of a device: ``cuda`` for ``cuda:1``."""
    return device.partition(":")[0]


def _targets(splits: Splits, *, weighted: bool, device: str) -> Targets:
    """Return the labels of all training photos, with weights of mean 1."""
    weights = splits.weights / splits.weights.mean() if weighted else np.ones(len(splits.weights))
    columns = splits.labels.species, splits.labels.leaf, weights.astype(np.float32)
    return Targets(*(torch.from_numpy(column).to(device) for column in columns))


def _wrap(network: HierarchicalNetwork, device: str) -> DistributedDataParallel:
    ids = [torch.cuda.current_device()] if device.startswith("cuda") else None
    return DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)


def _diverged(loss: float, norm: float, where: str) -> ConfigError:
    return ConfigError(
        f"training diverged in {where}: expected a finite loss and gradient, got {loss} and {norm}; lower "
        "finetune.learning_rate and finetune.head_learning_rate, or set finetune.precision to f32"
    )
