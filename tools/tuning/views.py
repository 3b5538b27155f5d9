"""Random views of photos, computed on the training device for a whole batch at a time."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate

from tools.tuning.squares import Squares

__all__ = ["random_views"]

MIN_AREA = 0.35  # smallest share of a photo in a view
ASPECTS = math.log(3 / 4), math.log(4 / 3)
CONTRAST, BRIGHTNESS, SATURATION = 0.3, 0.075, 0.15
SOFT_BATCHES = 0.5  # share of batches in which half of the views lose detail, like photos of few pixels
SOFT_SIDES = 0.4, 0.9


def random_views(squares: Squares, size: int, generator: torch.Generator) -> torch.Tensor:
    """Draw views float32 [B, 3, size, size] in [0, 1] of B squares: cropped, mirrored, with other contrast, brightness
    and saturation, and half of them softened in some batches. Hue stays: the color of a coat is evidence for its breed.
    """
    draw = _Draw(len(squares.aspect), generator)
    grid = affine_grid(_crops(squares.aspect, draw), [len(squares.aspect), 3, size, size], align_corners=False)
    views = grid_sample(squares.pixels.float() / 255, grid, padding_mode="reflection", align_corners=False)
    views = _lit(views, draw)
    return _softened(views, draw)


class _Draw:
    """Draws uniform random numbers: one for each of ``count`` photos, or a single one."""

    def __init__(self, count: int, generator: torch.Generator):
        self._count, self._generator = count, generator

    def each(self, low: float, high: float) -> torch.Tensor:
        values = torch.rand(self._count, device=self._generator.device, generator=self._generator)
        return low + (high - low) * values

    def one(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand(1, device=self._generator.device, generator=self._generator))


def _crops(aspect: torch.Tensor, draw: _Draw) -> torch.Tensor:
    """Draw affine maps [B, 2, 3] from a view to its square; half of them mirror."""
    area, shape = draw.each(MIN_AREA, 1), draw.each(*ASPECTS).exp() / aspect.clamp(0.3, 3)
    width, height = (area * shape).sqrt().clamp(max=1), (area / shape).sqrt().clamp(max=1)
    maps = torch.zeros(len(aspect), 2, 3, device=aspect.device)
    maps[:, 0, 0] = torch.where(draw.each(0, 1) < 0.5, -width, width)
    maps[:, 0, 2] = draw.each(-1, 1) * (1 - width)
    maps[:, 1, 1] = height
    maps[:, 1, 2] = draw.each(-1, 1) * (1 - height)
    return maps


def _lit(views: torch.Tensor, draw: _Draw) -> torch.Tensor:
    """Change contrast, brightness and saturation at random."""
    mean = views.mean((2, 3), keepdim=True)
    views = mean + (views - mean) * _column(draw.each(1 - CONTRAST, 1 + CONTRAST))
    views = views + _column(draw.each(-BRIGHTNESS, BRIGHTNESS))
    gray = views.mean(1, keepdim=True)
    return (gray + (views - gray) * _column(draw.each(1 - SATURATION, 1 + SATURATION))).clamp(0, 1)


def _softened(views: torch.Tensor, draw: _Draw) -> torch.Tensor:
    if draw.one() >= SOFT_BATCHES:
        return views
    size, half = views.shape[-1], (len(views) + 1) // 2
    small = int(size * draw.one(*SOFT_SIDES))
    soft = interpolate(views[:half], size=(small, small), mode="bilinear", antialias=True)
    return torch.cat([interpolate(soft, size=(size, size), mode="bilinear"), views[half:]])


def _column(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
