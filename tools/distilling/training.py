"""Self-distillation: a copy of a network learns to compute the features of intact views from corrupted ones.

The teacher is the network itself, so that its heads, thresholds and statistics fit the pupil, too. (Features as
targets: Romero et al., "FitNets", ICLR 2015; a network as its own teacher on changed images: Xie et al., "Self-training
with Noisy Student improves ImageNet classification", CVPR 2020, here without labels.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import nn
from torch.nn.functional import kl_div, log_softmax

from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Preprocess
from hierpets.progress import Progress, no_progress
from hierpets.training.finetuning.averaging import moving_average
from hierpets.training.finetuning.optimizer import rate_factor, set_rates
from tools.distilling.folding import fold, unfold_into
from tools.distilling.views import view_pairs

__all__ = ["Distillation", "Likeness", "distill"]

MEASURED = 4  # batches from which the spread of each feature is measured


@dataclass(frozen=True)
class Distillation:
    """Settings of a distillation. Views are ``size`` pixels wide. The stages from ``fixed`` on, and the layers after
    them, are not trained, so that they do not forget animals that no photo shows. The learning rate of a tensor is
    proportional to its root mean square, because the sizes of folded filters differ by a factor of a thousand.
    """

    steps: int = 2800
    batch: int = 12
    size: int = 256
    rate: float = 1e-3
    fixed: int = 5
    warmup: int = 40
    ema_decay: float = 0.99
    seed: int = 0


class Likeness:
    """The loss of a pupil's features: how much they and the outputs for them differ from those of the teacher."""

    def __init__(self, network: HierarchicalNetwork, spread: torch.Tensor):
        assert network.ood_scorer is not None
        assert network.mixture is not None
        self._classes, self._leaves = network.ood_scorer.pretrained_head, network.leaf_head
        self._temperature = float(network.mixture.temperature.mean())
        self._spread = spread

    def __call__(self, pupil: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Return the loss of features [B, D]: the squared error over the variance, plus the KL divergences of the
        breeds and, if there is a pretrained head, of its classes.
        """
        loss = ((pupil - teacher) / self._spread).square().mean()
        if self._classes is not None:
            loss = loss + self._divergence(self._classes(pupil), self._classes(teacher))
        return loss + self._divergence(*(self._leaves(f) / self._temperature for f in (pupil, teacher)))

    @staticmethod
    def _divergence(pupil: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        return kl_div(log_softmax(pupil, 1), log_softmax(teacher, 1), reduction="batchmean", log_target=True)


def distill(
    network: HierarchicalNetwork,
    photos: Sequence[np.ndarray],
    preprocess: Preprocess,
    settings: Distillation,
    *,
    progress: Progress = no_progress,
) -> None:
    """Train the backbone of ``network``, an EfficientNet, in place on photos RGB uint8 [H, W, 3]."""
    teacher = fold(network.backbone).requires_grad_(False).to(memory_format=torch.channels_last)
    pupil = deepcopy(teacher)
    learning = [p for name, p in pupil.named_parameters() if not _is_fixed(name, settings.fixed)]
    rates = [settings.rate * float(p.detach().square().mean().sqrt()) for p in learning]
    groups = [{"params": [p.requires_grad_()], "full_lr": rate} for p, rate in zip(learning, rates, strict=True)]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    average = moving_average(pupil, settings.ema_decay)
    likeness = Likeness(network.requires_grad_(False), _spread(teacher, photos, preprocess, settings))
    for step, (whole, corrupted) in zip(range(settings.steps), _batches(photos, preprocess, settings), strict=False):
        set_rates(optimizer, rate_factor(step, warmup=settings.warmup, total=settings.steps))
        loss = likeness(pupil(corrupted), teacher(whole))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        average.update_parameters(pupil)
        progress("distilling", step + 1, settings.steps)
    unfold_into(network.backbone, average.module)


def _is_fixed(name: str, fixed: int) -> bool:
    """Return whether a parameter belongs to stage ``fixed`` or to a layer after it."""
    part, _, rest = name.partition(".")
    return part == "conv_head" or (part == "blocks" and int(rest.partition(".")[0]) >= fixed)


def _spread(
    teacher: nn.Module, photos: Sequence[np.ndarray], preprocess: Preprocess, settings: Distillation
) -> torch.Tensor:
    """Return the standard deviation [D] of each feature over views, at least a tenth of their median."""
    batches = _batches(photos, preprocess, settings)
    with torch.no_grad():
        spread = torch.cat([teacher(next(batches)[0]) for _ in range(MEASURED)]).std(dim=0)
    return spread.clamp(min=0.1 * float(spread.median()))


def _batches(
    photos: Sequence[np.ndarray], preprocess: Preprocess, settings: Distillation
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield one batch of views per step, endlessly; the next one is drawn while a batch is trained on."""
    sized = preprocess.model_copy(update={"size": settings.size})

    def views(step: int) -> tuple[torch.Tensor, ...]:
        drawn = np.random.default_rng((settings.seed, step))
        pairs = view_pairs(photos, sized, batch=settings.batch, generator=drawn)
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in pairs)

    with ThreadPoolExecutor(1) as pool:
        ready = pool.submit(views, 0)
        for step in count(1):
            whole, corrupted = ready.result()
            ready = pool.submit(views, step)
            yield whole, corrupted
