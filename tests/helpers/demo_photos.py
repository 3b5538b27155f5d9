"""Photos of the demo set as files, for what reads folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from hierpets.data.photos import read_photo

__all__ = ["draw_photos"]


def _of_demo(label: str, number: int) -> np.ndarray:
    return read_photo(f"demo:{label}/{number}")


def draw_photos(
    folder: Path, counts: Mapping[str, int], *, first: int = 0, draw: Callable[[str, int], np.ndarray] = _of_demo
) -> Path:
    """``counts`` photos of each label, such as ``{"dog/pug": 10, "rabbit/-": 5}``, in the layout of folders."""
    for label, count in counts.items():
        place = folder / label.removesuffix("/-")
        place.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            cv2.imwrite(str(place / f"{number}.png"), draw(label, number)[..., ::-1])
    return folder
