"""Turn an upright photo into the network's input: deterministic to measure and predict, random to train."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from hierpets.data.photos import Photo, read_photo
from hierpets.environment import prepare_environment
from hierpets.plugin import Interpolation, Preprocess

__all__ = [
    "Augment",
    "apply",
    "center_square",
    "color_scale",
    "denormalize",
    "normalize",
    "read_square",
    "to_square",
]


def read_square(photo: Photo, preprocess: Preprocess) -> np.ndarray:
    """Decode a photo no larger than needed and apply :func:`to_square`: uint8 [size, size, 3].

    :raises ImageError: it cannot be read.
    """
    return to_square(preprocess, read_photo(photo, shorter_side=preprocess.decoded_side))


def apply(preprocess: Preprocess, photo: np.ndarray) -> np.ndarray:
    """Return the network's input, float32 [3, size, size], for an RGB uint8 [H, W, 3] photo."""
    return normalize(preprocess, to_square(preprocess, photo))


def to_square(preprocess: Preprocess, photo: np.ndarray) -> np.ndarray:
    """Crop and resize an RGB uint8 [H, W, 3] photo to uint8 [size, size, 3].

    The center is cropped before it is resized, not after: the same pixels to within one of the source, at half the
    work, and a photo a thousand times as wide as high costs no more than a square one.
    """
    if preprocess.resize == "crop":
        top, left, side = center_square(preprocess, *photo.shape[:2])
        photo = photo[top : top + side, left : left + side]
    return _resize(photo, preprocess.size, preprocess.interpolation)


def normalize(preprocess: Preprocess, photo: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Normalize RGB uint8 [H, W, 3] to float32 [3, H, W], ``(x / 255 - mean) / std``; written to ``out``, if given."""
    planes = np.empty((3, *photo.shape[:2]), np.float32) if out is None else out
    for channel, values, plane in zip(cv2.split(photo), _values(preprocess), planes, strict=True):
        cv2.LUT(channel, values, plane)
    return planes


def color_scale(preprocess: Preprocess) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift of each channel, float32 [3] each; the input is pixel times scale minus shift."""
    mean, std = (np.asarray(values, np.float32) for values in (preprocess.mean, preprocess.std))
    return 1 / (255 * std), mean / std


@lru_cache(maxsize=32)
def _values(preprocess: Preprocess) -> np.ndarray:
    """Return the normalized value of each of 256 values of a channel, float32 [3, 256]: a lookup takes half as long."""
    scale, offset = (values.reshape(3, 1) for values in color_scale(preprocess))
    return np.arange(256, dtype=np.float32) * scale - offset


def denormalize(preprocess: Preprocess, planes: np.ndarray) -> np.ndarray:
    """Invert :func:`normalize`, to show its input: float32 [3, H, W] to RGB uint8 [H, W, 3]."""
    mean, std = (np.asarray(v, np.float32).reshape(3, 1, 1) for v in (preprocess.mean, preprocess.std))
    pixels = np.rint((planes * std + mean) * 255).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def center_square(preprocess: Preprocess, height: int, width: int) -> tuple[int, int, int]:
    """Return top, left and side of the square that is cropped from a photo of ``height`` x ``width``."""
    side = max(1, round(min(height, width) * preprocess.size / preprocess.shorter_side))
    return (height - side) // 2, (width - side) // 2, side


def _resize(photo: np.ndarray, size: int, interpolation: Interpolation) -> np.ndarray:
    height, width = photo.shape[:2]
    if (height, width) == (size, size):
        return photo
    if interpolation == "adaptive":
        return cv2.resize(photo, (size, size), interpolation=_adaptive(min(height, width) / size))
    from PIL import Image

    return np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling[interpolation.upper()]))


def _adaptive(shrinking: float) -> int:
    """Choose an interpolation. Averaging areas does not alias, but takes eight times as long as bilinear, which is as
    good above half the size (docs/experiments.md). Both are blocky when they enlarge; bicubic is smooth.
    """
    if shrinking >= 2:
        return cv2.INTER_AREA
    return cv2.INTER_LINEAR if shrinking >= 1 else cv2.INTER_CUBIC


@dataclass(frozen=True)
class Augment:
    """Random views of training photos, each drawn from (seed, epoch, index) alone.

    The result does not depend on the order of calls, the thread, the process or the number of workers. Coat color
    is the label, so hue and saturation are left alone.
    """

    preprocess: Preprocess
    seed: int = 0

    def __call__(self, photo: np.ndarray, *, epoch: int, index: int) -> np.ndarray:
        """Return view number ``epoch`` of an RGB uint8 [H, W, 3] photo, float32 [3, size, size]."""
        pipeline = _pipeline(self.preprocess)
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(len(pipeline.transforms))
        # Compose.set_random_seed gives every step the same seed, and then their coins fall alike: seed each its own.
        for step, seed in zip(pipeline.transforms, seeds, strict=True):
            step.set_random_seed(int(seed))
        return normalize(self.preprocess, pipeline(image=photo)["image"])


_local = threading.local()  # a pipeline holds its generators, so threads must not share one


def _pipeline(preprocess: Preprocess) -> Any:
    pipelines = _local.__dict__.setdefault("pipelines", {})
    if preprocess not in pipelines:
        pipelines[preprocess] = _build_pipeline(preprocess)
    return pipelines[preprocess]


def _build_pipeline(preprocess: Preprocess) -> Any:
    prepare_environment()
    import albumentations as A

    size, hole = preprocess.size, (0.08, 0.2)
    how = {"interpolation": cv2.INTER_LINEAR, "area_for_downscale": "image"}
    if preprocess.resize == "squash":
        frame = A.Resize(size, size, **how)
    else:
        frame = A.RandomResizedCrop((size, size), scale=(0.5, 1.0), ratio=(0.8, 1.25), **how)
    return A.Compose(
        [
            frame,
            A.HorizontalFlip(p=0.5),
            A.Affine(rotate=(-12, 12), scale=(0.95, 1.05), shear=(-4, 4), border_mode=cv2.BORDER_REFLECT_101, p=0.5),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.7),
            A.OneOf(
                [A.GaussianBlur(sigma_limit=(0.3, 1.2), blur_limit=0), A.ImageCompression(quality_range=(50, 95))],
                p=0.25,
            ),
            A.CoarseDropout(num_holes_range=(1, 3), hole_height_range=hole, hole_width_range=hole, p=0.25),
        ]
    )
