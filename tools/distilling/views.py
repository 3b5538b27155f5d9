"""Views of photos without labels: intact for the teacher, corrupted for the pupil."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from hierpets.data.transforms import apply
from hierpets.evaluation.stress.corruptions import CORRUPTIONS
from hierpets.plugin import Preprocess

__all__ = ["view_pairs"]

SMALL, SMALL_AREA, AREA = 0.2, (0.06, 0.35), (0.35, 1.0)
"""Share of views that show a small part of a photo, with or without an animal, and the range of its area."""
MIXED = 0.25
"""Share of views that are mixed with another photo, side by side or blended: no photo of the data is like these."""
LIT, GAIN, OFFSET = 0.3, (0.6, 1.3), (-20.0, 20.0)
CORRUPTED, TWICE = 0.65, 0.2
"""Share of views that are corrupted for the pupil, and the share of these that are corrupted in two ways."""
PHOTOMETRIC = {
    "smaller": (0.35, 0.8),  # share of the shorter side; the others are in the units of the stress test
    "softer": (0.2, 1.0),
    "compressed": (12, 50),
    "darker": (-2.5, -0.5),
    "brighter": (0.3, 1.4),
}
GEOMETRIC = {"cropped": (60, 95), "turned": (0, 30), "hidden": (5, 40), "far away": (40, 85)}
"""Only for views of a whole photo: a small part of an animal could disappear."""
OFTEN = {"softer": 2.0, "compressed": 2.0, "far away": 2.5}
BY_KIND = {corruption.kind: corruption.corrupt for corruption in CORRUPTIONS}

Range = tuple[float, float]


def view_pairs(
    photos: Sequence[np.ndarray], preprocess: Preprocess, *, batch: int, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw views of photos RGB uint8 [H, W, 3] for the teacher and for the pupil: float32 [B, 3, size, size] each."""
    teacher, pupil = [], []
    for _ in range(batch):
        view, whole = _view(photos, generator)
        corrupted = _corrupted(view, whole, generator) if generator.random() < CORRUPTED else view
        teacher.append(apply(preprocess, view))
        pupil.append(apply(preprocess, corrupted))
    return torch.from_numpy(np.stack(teacher)), torch.from_numpy(np.stack(pupil))


def _view(photos: Sequence[np.ndarray], generator: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Draw a view of a photo; also return whether it shows most of that photo and nothing else."""
    small, mixed = generator.random(2) < (SMALL, MIXED)
    view = _cropped(photos, SMALL_AREA if small else AREA, generator)
    if mixed:
        height, width = view.shape[:2]
        other = cv2.resize(_cropped(photos, (0.2, 1.0), generator), (width, height), interpolation=cv2.INTER_LINEAR)
        view = _mixed(view, other, generator)
    if generator.random() < LIT:
        lit = view.astype(np.float32) * generator.uniform(*GAIN) + generator.uniform(*OFFSET)
        view = lit.clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(view), not (small or mixed)


def _cropped(photos: Sequence[np.ndarray], areas: Range, generator: np.random.Generator) -> np.ndarray:
    """Crop a share, drawn from ``areas``, of one of the photos; half of the crops are mirrored."""
    photo = photos[int(generator.integers(len(photos)))]
    area, shape = generator.uniform(*areas), np.exp(generator.uniform(-0.25, 0.25))
    height, width = (
        min(side, max(16, round(side * min(1.0, float(share) ** 0.5))))
        for side, share in zip(photo.shape[:2], (area / shape, area * shape), strict=True)
    )
    top, left = generator.integers(photo.shape[0] - height + 1), generator.integers(photo.shape[1] - width + 1)
    view = photo[top : top + height, left : left + width]
    return view[:, ::-1] if generator.random() < 0.5 else view


def _mixed(view: np.ndarray, other: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Blend two views of the same size (mixup), or put parts of them side by side."""
    if generator.random() < 0.5:
        share = generator.uniform(0.2, 0.8)
        return (view * share + other * (1 - share)).astype(np.uint8)
    view, axis = view.copy(), int(generator.integers(2))
    end = round(view.shape[axis] * generator.uniform(0.25, 0.75))
    part = (slice(None),) * axis + (slice(end),)
    view[part] = other[part]
    return view


def _corrupted(view: np.ndarray, whole: bool, generator: np.random.Generator) -> np.ndarray:
    """Corrupt a view in one or two ways, about as much as the first two steps of the stress test or a little more."""
    ranges = PHOTOMETRIC | GEOMETRIC if whole else PHOTOMETRIC
    often = np.array([OFTEN.get(kind, 1.0) for kind in ranges])
    count = 2 if generator.random() < TWICE else 1
    for kind in generator.choice([*ranges], size=count, replace=False, p=often / often.sum()):
        amount = generator.uniform(*ranges[kind]) * (min(view.shape[:2]) if kind == "smaller" else 1)
        view = np.ascontiguousarray(BY_KIND[kind](view, amount, generator))
    return view
