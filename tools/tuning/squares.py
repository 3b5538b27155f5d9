"""Photos as uint8 squares on the training device. They are decoded only once, as decoders are too slow for a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from hierpets.data.photos import read_photo
from hierpets.progress import Progress, no_progress
from hierpets.workers import cores, run_in_order

__all__ = ["SIDE", "Squares", "read_squares"]

SIDE = 320  # pixels; views are crops of a square
AHEAD = 64


@dataclass(frozen=True)
class Squares:
    """``pixels`` uint8 [N, 3, SIDE, SIDE], squashed, and ``aspect`` float32 [N], width / height of the photos."""

    pixels: torch.Tensor
    aspect: torch.Tensor

    def rows(self, rows: torch.Tensor) -> Squares:
        """Return the squares of these rows, int64 [M], in that order."""
        return Squares(self.pixels[rows], self.aspect[rows])


def read_squares(paths: Sequence[str], device: str, *, progress: Progress = no_progress) -> Squares:
    """Decode photos and keep them on ``device``: 0.3 MB each.

    :raises ImageError: a photo cannot be read.
    """
    pixels = torch.empty(len(paths), 3, SIDE, SIDE, dtype=torch.uint8)
    aspect = torch.empty(len(paths))
    decoded = run_in_order(_square, paths, workers=cores(), ahead=AHEAD, name="photos")
    for row, future in enumerate(decoded):
        square, aspect[row] = future.result()
        pixels[row] = torch.from_numpy(square).permute(2, 0, 1)
        progress("photos", row + 1, len(paths))
    return Squares(pixels.to(device), aspect.to(device))


def _square(path: str) -> tuple[np.ndarray, float]:
    photo = read_photo(path, shorter_side=SIDE)
    height, width = photo.shape[:2]
    image = Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.array(image), width / height
