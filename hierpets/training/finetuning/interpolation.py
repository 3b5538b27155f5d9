"""The straight line between two trained networks (WiSE-FT: Wortsman et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch

from hierpets.training.score import Score

__all__ = ["Choice", "choose_share", "interpolate"]

Weights = Mapping[str, torch.Tensor]


class Choice(NamedTuple):
    """``share`` 0 is the start, 1 the end."""

    share: float
    score: Score


def interpolate(start: Weights, end: Weights, share: float) -> dict[str, torch.Tensor]:
    """``start + share * (end - start)`` of every floating tensor; counters come from the end. The ends are exact."""
    return {
        name: torch.lerp(start[name], tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }


def choose_share(shares: Iterable[float], score: Callable[[float], Score]) -> Choice:
    """The share with the best score; the nearest to the start among equals. The start and the end are always tried."""
    choices = [Choice(share, score(share)) for share in sorted({0.0, 1.0, *shares})]
    return max(choices, key=lambda choice: (choice.score.rank, -choice.share))
