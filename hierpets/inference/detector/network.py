"""SSDLite with MobileNetV2, pretrained on COCO, on the CPU. Needs no torch. Made by ``tools/build_detector.py``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from hierpets.inference.engines.openvino import InferRequests

__all__ = ["ANIMALS", "GRAPH", "ONNX", "SIZE", "VERSION", "Detections", "Detector", "known_animals", "stretched"]

GRAPH = Path(__file__).with_name("coco") / "model.xml"
ONNX = GRAPH.with_suffix(".onnx")
"""The same detector in float32 with weights in eight bits, for a web page."""
VERSION = 1  # raised whenever detections in the same photo change
SIZE = 300
"""Side of the detector's input, in pixels."""

ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra")
"""Classes of the detector. COCO's giraffe is left out: it looks like no pet."""


def known_animals(species: Sequence[str]) -> tuple[str, ...]:
    """Those of a model's species that the detector knows."""
    return tuple(name for name in species if name in ANIMALS)


class Detections(NamedTuple):
    """Boxes that may show animals: ``edges`` float [N, 4] (top, left, bottom, right) as shares of the photo, and
    ``logits`` float [N, A] of each of :data:`ANIMALS`. N is the same for all photos; most boxes show nothing.
    """

    edges: np.ndarray
    logits: np.ndarray

    def best(self, animals: Sequence[str]) -> np.ndarray:
        """The largest logit of these animals in each box, [N]."""
        return self.logits[:, [ANIMALS.index(animal) for animal in animals]].max(axis=1)

    def probability(self, animals: Sequence[str]) -> np.ndarray:
        """Probability that each box shows one of these animals, [N]."""
        return 1 / (1 + np.exp(-self.best(animals)))


class Detector:
    """Detects animals. OpenVINO is imported and the graph compiled at the first call, as few photos need it.

    ``workers`` photos can be processed at a time, with ``threads`` in all; None: one per core.
    """

    def __init__(self, *, workers: int = 1, threads: int | None = None):
        self._workers, self._threads = workers, threads
        self._first = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> Detections:
        """The animals in a photo, RGB uint8 [H, W, 3]."""
        with self._first:
            requests = self._requests
        edges, logits = requests(stretched(pixels)[None])
        return Detections(edges.reshape(-1, 4), logits.reshape(-1, len(ANIMALS)))

    @cached_property
    def _requests(self) -> InferRequests:
        from hierpets.inference.engines.openvino import InferRequests, adapted

        return InferRequests(adapted(GRAPH, "int8"), "int8", count=self._workers, threads=self._threads)


def stretched(pixels: np.ndarray) -> np.ndarray:
    """The photo resized to the detector's input, uint8 [SIZE, SIZE, 3], without keeping its aspect ratio, as in
    training.
    """
    how = cv2.INTER_AREA if min(pixels.shape[:2]) > SIZE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (SIZE, SIZE), interpolation=how), np.uint8)
