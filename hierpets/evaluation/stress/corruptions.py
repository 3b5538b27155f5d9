"""Corruptions that phones, messengers and people cause, at three steps each; deterministic for each photo.

The protocol is that of ImageNet-C (Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", ICLR 2019), with milder steps and changes that are typical of photos of pets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from hierpets.environment import prepare_environment
from hierpets.thumbnails import scale_down

__all__ = ["CORRUPTIONS", "SIDE", "STEPS", "Corruption", "limit_shorter_side"]

SIDE = 300  # maximum shorter side of every photo, in pixels, so that a step means the same for all of them
STEPS = 3

Corrupt = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One kind of change at one step, 1 to 3. Maps RGB uint8 [H, W, 3] to RGB uint8 [h, w, 3].

    ``setting`` describes the change. Its randomness is seeded by the photo's pixels, so it is the same every time.
    """

    kind: str
    step: int
    setting: str
    amount: float
    corrupt: Corrupt

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.corrupt(photo, self.amount, _generator(photo, self.kind)))


def limit_shorter_side(photo: np.ndarray, side: float) -> np.ndarray:
    """Scale a photo down to a shorter side of at most ``side`` pixels."""
    return scale_down(photo, side / min(photo.shape[:2]))


def _smaller(photo: np.ndarray, side: float, _: np.random.Generator) -> np.ndarray:
    return limit_shorter_side(photo, side)


def _softer(photo: np.ndarray, percent: float, _: np.random.Generator) -> np.ndarray:
    sigma = percent / 100 * min(photo.shape[:2])
    return _run("GaussianBlur", photo, blur_limit=0, sigma_limit=(sigma, sigma))


def _compressed(photo: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    blue_first = np.ascontiguousarray(photo[..., ::-1])  # albumentations passes it to OpenCV, which encodes BGR, as is
    return _run("ImageCompression", blue_first, quality_range=(int(quality), int(quality)))[..., ::-1]


def _exposed(photo: np.ndarray, stops: float, _: np.random.Generator) -> np.ndarray:
    """Change the exposure. A stop doubles the light; pixel values are its 2.2th root, and are clipped if too bright."""
    factor = 2 ** (stops / 2.2)
    return _run("MultiplicativeNoise", photo, multiplier=(factor, factor))


def _cropped(photo: np.ndarray, percent: float, generator: np.random.Generator) -> np.ndarray:
    height, width = (max(1, round(side * percent / 100)) for side in photo.shape[:2])
    top, left = _place(photo.shape[0] - height, photo.shape[1] - width, generator)
    return photo[top : top + height, left : left + width]


def _turned(photo: np.ndarray, degrees: float, generator: np.random.Generator) -> np.ndarray:
    sign = generator.choice([-1, 1])
    if degrees == 90:  # as if a file had lost its orientation
        return np.rot90(photo, sign)
    return _run("Rotate", photo, limit=(sign * degrees, sign * degrees), border_mode=cv2.BORDER_REFLECT_101)


def _hidden(photo: np.ndarray, percent: float, generator: np.random.Generator) -> np.ndarray:
    """Cover the photo from one side in its mean color, so that the cover looks like no object."""
    turned = np.rot90(photo, quarters := int(generator.integers(4))).copy()
    turned[: round(len(turned) * percent / 100)] = photo.mean(axis=(0, 1)).astype(np.uint8)
    return np.rot90(turned, -quarters)


def _far_away(photo: np.ndarray, percent: float, generator: np.random.Generator) -> np.ndarray:
    """Shrink the photo inside a frame of its original size, on a background with its colors but none of its shapes."""
    height, width = photo.shape[:2]
    colors = cv2.resize(photo, (4, 4), interpolation=cv2.INTER_AREA)
    frame = cv2.resize(colors, (width, height), interpolation=cv2.INTER_LINEAR)
    inner = limit_shorter_side(photo, min(height, width) * percent / 100)
    top, left = _place(height - len(inner), width - inner.shape[1], generator)
    frame[top : top + len(inner), left : left + inner.shape[1]] = inner
    return frame


def _place(free_rows: int, free_columns: int, generator: np.random.Generator) -> tuple[int, int]:
    """Draw the top left corner of a box, given the free space around it. With the same generator state, a larger box
    covers a smaller one.
    """
    down, right = generator.random(2)
    return round(down * free_rows), round(right * free_columns)


def _run(name: str, photo: np.ndarray, **settings: Any) -> np.ndarray:
    """Apply a transform of albumentations with fixed settings, given as ranges of a single value."""
    prepare_environment()
    import albumentations as A

    return getattr(A, name)(**settings, p=1)(image=photo)["image"]


def _generator(photo: np.ndarray, kind: str) -> np.random.Generator:
    digest = hashlib.blake2b(photo.tobytes(), digest_size=8, key=kind.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


_KINDS: tuple[tuple[str, Corrupt, tuple[float, float, float], str], ...] = (
    ("smaller", _smaller, (200, 140, 96), "shorter side {} px"),
    ("softer", _softer, (0.35, 0.7, 1.0), "Gaussian blur, sigma {}% of the shorter side"),
    ("compressed", _compressed, (40, 20, 10), "JPEG quality {}"),
    ("darker", _exposed, (-1, -2, -3), "exposure {} stops"),
    ("brighter", _exposed, (0.5, 1, 1.5), "exposure +{} stops"),
    ("cropped", _cropped, (85, 70, 55), "{}% of each side left, somewhere"),
    ("turned", _turned, (10, 20, 90), "by {} degrees to either side"),
    ("hidden", _hidden, (15, 30, 50), "{}% covered from one side"),
    ("far away", _far_away, (70, 50, 35), "{}% of each side, somewhere in the frame"),
)


def _corruptions() -> Iterator[Corruption]:
    for kind, corrupt, amounts, setting in _KINDS:
        for step, amount in enumerate(amounts, start=1):
            yield Corruption(kind, step, setting.format(f"{amount:g}"), amount, corrupt)


CORRUPTIONS: tuple[Corruption, ...] = tuple(_corruptions())
"""Nine kinds at three steps each, kind by kind."""
