"""Photos of nothing but a color and its clouds: breeds that even a network of random weights tells apart."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from helpers.demo_photos import draw_photos

COLORS = {
    "cat/siamese": (230, 60, 40),
    "cat/tuxedo": (240, 150, 30),
    "dog/pug": (30, 60, 230),
    "dog/husky": (60, 120, 240),
    "rabbit/-": (40, 220, 60),
}


def paint(label: str, number: int) -> np.ndarray:
    """RGB uint8 [40, 40, 3]; other clouds for each number."""
    clouds = np.random.default_rng([number, *COLORS[label]]).normal(size=(4, 4, 3)) * 45
    painted: np.ndarray = cv2.resize(clouds + COLORS[label], (40, 40), interpolation=cv2.INTER_CUBIC)
    return painted.clip(0, 255).astype(np.uint8)


paint_photos = partial(draw_photos, draw=paint)
