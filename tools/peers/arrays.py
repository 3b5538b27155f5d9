"""How a photo is made ready without a framework: OpenCV and numpy, as the examples of inference runtimes do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import cv2
import numpy as np

from tools.peers.network import Carried

__all__ = ["ArraySide", "read_input"]

BATCH = 16
TRIED = 32  # photos, on which one at a time and in batches are compared


def read_input(path: str, carried: Carried) -> np.ndarray:
    """float32 [1, 3, size, size]: decoded in full, resized by its shorter side, cut from the center, normalized."""
    photo = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    assert photo is not None, path
    scale = carried.shorter_side / min(photo.shape[:2])
    width, height = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    photo = cv2.resize(photo, (width, height), interpolation=how)
    top, left = (height - carried.size) // 2, (width - carried.size) // 2
    photo = photo[top : top + carried.size, left : left + carried.size]
    planes = (photo.astype(np.float32) / 255 - np.array(carried.mean, np.float32)) / np.array(carried.std, np.float32)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None])


class ArraySide:
    """A network that maps arrays to arrays, one photo at a time or in batches, whichever turned out faster."""

    def __init__(self, carried: Carried, run: Callable[[np.ndarray], np.ndarray]):
        self._carried, self._run = carried, run
        self._batch: int | None = None

    def one(self, path: str) -> str:
        return self._answer([path])[0]

    def many(self, paths: Sequence[str]) -> list[str]:
        if self._batch is None:
            self._batch = self._faster(paths[:TRIED])
        return [label for n in range(0, len(paths), self._batch) for label in self._answer(paths[n : n + self._batch])]

    def _answer(self, paths: Sequence[str]) -> list[str]:
        joint = self._run(np.concatenate([read_input(path, self._carried) for path in paths]))
        return [self._carried.labels[n] for n in joint.argmax(axis=1)]

    def _faster(self, paths: Sequence[str]) -> int:
        """1 or ``BATCH``; each size has had its first turn before it is timed."""
        seconds = {}
        for size in (1, BATCH, 1, BATCH):
            start = perf_counter()
            for n in range(0, len(paths), size):
                self._answer(paths[n : n + size])
            seconds[size] = perf_counter() - start
        return min(seconds, key=lambda size: seconds[size])
