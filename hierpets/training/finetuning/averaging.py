"""Average weights over the steps of training (EMA), and between its start and its end (WiSE-FT)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch.optim.swa_utils import AveragedModel

from hierpets.training.score import LabeledLogits, PairedDifference, Score, paired_difference

__all__ = ["AlphaChoice", "choose_alpha", "decay_after", "interpolate", "moving_average"]

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]
Weights = Mapping[str, torch.Tensor]


def decay_after(updates: int, decay: float) -> float:
    """Return the decay of one update: it rises to ``decay``, so that the average keeps up in a short training."""
    return min(decay, (1 + updates) / (10 + updates))


def moving_average(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of the weights that starts at ``network``.

    Call its ``update_parameters(network)`` after each step.
    """

    @torch.no_grad()
    def update(average: Tensors, current: Tensors, updates: torch.Tensor | int) -> None:
        torch._foreach_lerp_(average, current, 1 - decay_after(int(updates), decay))

    averaged = AveragedModel(network, multi_avg_fn=update)
    averaged.update_parameters(network)  # the first update copies
    return averaged


class AlphaChoice(NamedTuple):
    """The chosen ``alpha`` of WiSE-FT (Wortsman et al., CVPR 2022), 0 for the start of training and 1 for its end.

    ``lead`` is the gain in balanced accuracy over the start.
    """

    alpha: float
    score: Score
    lead: PairedDifference


def interpolate(start: Weights, end: Weights, alpha: float) -> dict[str, torch.Tensor]:
    """Return ``start + alpha * (end - start)`` for floating-point tensors, and others from ``end``.

    The result is exact for ``alpha`` 0 and 1.
    """
    return {
        name: torch.lerp(start[name], tensor, alpha) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }


def choose_alpha(alphas: Iterable[float], ask: Callable[[float], LabeledLogits]) -> AlphaChoice:
    """Choose the alpha with the best score, or the smallest of several; 0 and 1 are always tried.

    ``ask`` returns the validation logits of the network at an alpha.
    """
    outputs = {alpha: ask(alpha) for alpha in sorted({0.0, 1.0, *alphas})}
    scores = {alpha: logits.score() for alpha, logits in outputs.items()}
    best = max(scores, key=lambda alpha: (scores[alpha].rank, -alpha))
    differences = outputs[best].judged.shares - outputs[0.0].judged.shares
    return AlphaChoice(best, scores[best], paired_difference(differences, outputs[best].labels.groups))
