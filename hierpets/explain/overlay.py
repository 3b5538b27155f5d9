"""Map a heat map of the network's input back onto the photo."""

from __future__ import annotations

import cv2
import numpy as np

from hierpets.data.transforms import center_square
from hierpets.plugin import Preprocess

__all__ = ["overlay", "spread"]

STRONGEST = 0.65  # opacity of the color where the map is 1
OUTSIDE = 0.45  # brightness outside of what the network saw


def spread(cam: np.ndarray, preprocess: Preprocess, height: int, width: int) -> np.ndarray:
    """Enlarge a map [h, w] to the part of the photo that the network sees: float32 [height, width], NaN elsewhere."""
    if preprocess.resize == "squash":
        return _enlarged(cam, height, width)
    top, left, side = center_square(preprocess, height, width)
    whole = np.full((height, width), np.nan, np.float32)
    whole[top : top + side, left : left + side] = _enlarged(cam, side, side)
    return whole


def overlay(photo: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """The photo, RGB uint8 [H, W, 3], tinted where the map float [H, W] in [0, 1] is high, dimmed where NaN."""
    unseen = np.isnan(cam)
    heat = np.where(unseen, 0.0, cam)
    colors = cv2.cvtColor(cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    opacity = (heat * STRONGEST)[..., None]
    mixed = photo * (1 - opacity) + colors * opacity
    mixed = np.where(unseen[..., None], photo * OUTSIDE, mixed)
    return np.asarray(np.rint(mixed), np.uint8)


def _enlarged(cam: np.ndarray, height: int, width: int) -> np.ndarray:
    smooth = cv2.resize(cam.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth.clip(0.0, 1.0))
