"""Photos of nothing but a color and its clouds: breeds that even a network of random weights tells apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

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


def paint_photos(folder: Path, counts: Mapping[str, int], *, first: int = 0) -> Path:
    """As many photos of each label, such as ``{"dog/pug": 10, "rabbit/-": 5}``, in the layout of folders."""
    for label, count in counts.items():
        place = folder / label.removesuffix("/-")
        place.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            cv2.imwrite(str(place / f"{number}.png"), paint(label, number)[..., ::-1])
    return folder
