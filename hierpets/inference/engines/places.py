"""The output of the main network at each place of its last feature map, on the CPU. Needs no torch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hierpets.bundle.layout import brief, incomplete_bundle, is_quantized
from hierpets.errors import BundleError
from hierpets.inference.engines.base import Precision, RawOutput, choose_precision

__all__ = ["PlaceEngine", "Places"]


class Places(NamedTuple):
    """The outputs at ``side`` x ``side`` places: a row of ``output`` for each, from left to right and top to bottom.

    The receptive field of a place is far larger than its share of the photo.
    """

    output: RawOutput
    side: int


class PlaceEngine:
    """Runs the graph of a bundle up to its last feature map, and the heads at each place of that map.

    OpenVINO is imported and the graph compiled at the first call, as most predictions do not look for regions.
    ``size`` may differ from the input size of the network: a larger photo has more places.
    """

    def __init__(
        self,
        graph: Path,
        precision: Precision,
        size: int,
        *,
        workers: int = 1,
        threads: int | None = None,
    ):
        self.size = size
        self._graph, self._precision, self._workers, self._threads = graph, precision, workers, threads
        self._first = threading.Lock()
        self._compiled: tuple[Callable[[np.ndarray], RawOutput], int] | None = None

    def __call__(self, photo: np.ndarray) -> Places:
        """The outputs for a photo, RGB uint8 [size, size, 3].

        :raises BundleError: as :meth:`compiled`.
        :raises ConfigError: as :meth:`compiled`.
        """
        run, side = self.compiled()
        return Places(run(photo[None]), side)

    def compiled(self) -> tuple[Callable[[np.ndarray], RawOutput], int]:
        """The function that runs one photo [1, size, size, 3], and the number of places on a side.

        :raises BundleError: the graph is missing or damaged.
        :raises ConfigError: its features are not the mean over places.
        """
        with self._first:
            self._compiled = self._compiled or self._compile()
        return self._compiled

    def _compile(self) -> tuple[Callable[[np.ndarray], RawOutput], int]:
        if not self._graph.is_file():
            raise incomplete_bundle(self._graph.parents[1], "no OpenVINO graph in this bundle, which regions need")
        from hierpets.inference.engines.openvino import InferRequests, capabilities, for_precision
        from hierpets.model.graph.places import answer_places
        from hierpets.model.graph.runtime import openvino as ov

        quantized, has_bf16 = is_quantized(self._graph), "BF16" in capabilities()
        precision = choose_precision(self._precision, "openvino", "cpu", quantized=quantized, has_bf16=has_bf16)
        try:
            graph = for_precision(ov.Core().read_model(self._graph), precision)
            side = answer_places(graph, self.size)
            requests = InferRequests(graph, precision, count=self._workers, threads=self._threads)
            return lambda images: RawOutput(*requests(images)), side
        except RuntimeError as error:
            raise BundleError(f"{self._graph}: OpenVINO cannot run this graph: {brief(error)}") from error
