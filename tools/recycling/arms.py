"""What is compared: ways to adapt a trained network to breeds in the same time, and the training of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from hierpets.model.heads import Linear
from tools.recycling.maps import Maps

__all__ = ["ARMS", "Arm", "Recipe", "train_arm"]

Features = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps [B, C, H, W] and the species of each photo, int [B], to features [B, D]."""
WIDTH = 256  # of an adapter


class Dense(nn.Module):
    """The last stage itself."""

    def __init__(self, stage: nn.Module, species: int):
        super().__init__()
        self.stage = deepcopy(stage)

    def forward(self, maps: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.stage(maps)
        return features


class Adapter(nn.Module):
    """The frozen features, and what a narrow network adds to them, nothing at first (Houlsby et al., ICML 2019)."""

    def __init__(self, stage: nn.Module, species: int):
        super().__init__()
        self.stage = deepcopy(stage).requires_grad_(False)
        dim = stage[1].out_channels  # type: ignore[index]
        last = nn.Linear(WIDTH, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.added = nn.Sequential(nn.Linear(dim, WIDTH), nn.GELU(), last)

    def forward(self, maps: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = self.stage(maps)
        changed: torch.Tensor = features + self.added(features)
        return changed


class Experts(nn.Module):
    """A copy of the last stage for each species (Komatsuzaki et al., "Sparse Upcycling", ICLR 2023)."""

    def __init__(self, stage: nn.Module, species: int):
        super().__init__()
        self.stages = nn.ModuleList(deepcopy(stage) for _ in range(species))

    def forward(self, maps: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        order = [torch.nonzero(species == number).flatten() for number in range(len(self.stages))]
        parts = [stage(maps[rows]) for stage, rows in zip(self.stages, order, strict=True) if len(rows)]
        features: torch.Tensor = torch.cat(parts)[torch.cat([rows for rows in order if len(rows)]).argsort()]
        return features


class RandomExperts(Experts):
    """As many copies, each photo sent to one by chance, the same each time."""

    def forward(self, maps: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        number = maps[:, 0, 0, 0].half().view(torch.int16).long()  # bits of the photo itself
        return super().forward(maps, number.abs() % len(self.stages))


class ScaleShift(nn.Module):
    """The frozen last stage, its input scaled and shifted channel by channel, as the species wants it."""

    def __init__(self, stage: nn.Module, species: int):
        super().__init__()
        self.stage = deepcopy(stage).requires_grad_(False)
        channels = stage[0][0].conv_pw.in_channels  # type: ignore[index]
        self.scale, self.shift = nn.Embedding(species, channels), nn.Embedding(species, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, maps: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        scale, shift = self.scale(species)[..., None, None], self.shift(species)[..., None, None]
        features: torch.Tensor = self.stage(maps * scale + shift)
        return features


@dataclass(frozen=True)
class Arm:
    """``build`` makes the features' module of the last stage and the number of species; new parameters learn faster."""

    build: Callable[[nn.Module, int], nn.Module]
    learning_rate: float


ARMS: dict[str, Arm] = {
    "last stage fine-tuned": Arm(Dense, 1e-4),
    "residual adapter": Arm(Adapter, 1e-3),
    "an expert per species": Arm(Experts, 1e-4),
    "as many experts, random routing": Arm(RandomExperts, 1e-4),
    "scale and shift per species": Arm(ScaleShift, 1e-3),
}


@dataclass(frozen=True)
class Recipe:
    """How long an arm learns, and how."""

    seconds: float
    batch: int = 32
    head_learning_rate: float = 1e-4
    weight_decay: float = 0.02


def train_arm(
    arm: Arm, stage: nn.Module, head: Linear, maps: Maps, species: np.ndarray, weights: np.ndarray, recipe: Recipe
) -> tuple[Callable[[Maps, np.ndarray], np.ndarray], int]:
    """Train for a fixed time: ``(the most probable leaf int [N] of maps and their species, steps taken)``.

    ``head`` is a linear head on the frozen features, from which each arm starts. ``weights`` [N] are those by which
    photos are drawn. Nothing is chosen on the way: what is there when the time is up is what counts.
    """
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    features = arm.build(stage, int(species.max()) + 1).eval()  # batch statistics stay as they are
    linear = nn.Linear(*head.weight.shape[::-1])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head.weight))
        linear.bias.copy_(torch.from_numpy(head.bias))
    learned = [parameter for parameter in features.parameters() if parameter.requires_grad]
    groups = [
        {"params": learned, "lr": arm.learning_rate},
        {"params": linear.parameters(), "lr": recipe.head_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    draw, leaf, kind = torch.from_numpy(weights), torch.from_numpy(maps.leaf), torch.from_numpy(species)
    started, steps = time.process_time(), 0
    while (spent := (time.process_time() - started) / recipe.seconds) < 1:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * spent))
        rows = torch.multinomial(draw, recipe.batch, replacement=True, generator=generator)
        flip = torch.rand(recipe.batch, generator=generator) < 0.5
        inputs = torch.where(flip[:, None, None, None], maps.flipped[rows], maps.plain[rows]).float()
        loss = nn.functional.cross_entropy(linear(features(inputs, kind[rows])), leaf[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*learned, *linear.parameters()], 5.0)
        optimizer.step()
        steps += 1

    @torch.inference_mode()
    def predict(asked: Maps, routed: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(asked.leaf), 64):
            part = slice(start, start + 64)
            logits = linear(features(asked.plain[part].float(), torch.from_numpy(routed[part])))
            found.append(logits.argmax(dim=1).numpy())
        return np.concatenate(found)

    return predict, steps
