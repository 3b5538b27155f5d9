"""What the main network answers at each place of a photo, on the CPU. Needs no torch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hierpets.bundle.layout import brief, incomplete_bundle, is_quantized
from hierpets.errors import BundleError
from hierpets.inference.engines.base import Precision, RawOutput, choose_precision

if TYPE_CHECKING:
    from hierpets.inference.engines.openvino import InferRequests

__all__ = ["PlaceEngine", "Places"]


class Places(NamedTuple):
    """The answers at ``side`` x ``side`` places: ``output`` has a row for each, from left to right and top to bottom.

    Each place answers for all that its features see, which is far more than its share of the photo.
    """

    output: RawOutput
    side: int


class PlaceEngine:
    """Runs the graph of a bundle up to its last map, and the heads at each place of it.

    Compiled, and OpenVINO imported, at the first call: most predictions look for no regions, and torch needs neither.
    ``size`` may be another than the network was made for: it sees larger photos in the same way, with more places.
    """

    def __init__(self, graph: Path, precision: Precision, size: int, *, workers: int = 1, threads: int | None = None):
        self.size = size
        self._graph, self._precision, self._workers, self._threads = graph, precision, workers, threads
        self._first = threading.Lock()
        self._compiled: tuple[InferRequests, int] | None = None

    def __call__(self, image: np.ndarray) -> Places:
        """The answers for an image float32 [3, size, size].

        :raises BundleError: the graph is missing, or its features are not the mean over places.
        """
        with self._first:
            self._compiled = self._compiled or self._compile()
        requests, side = self._compiled
        return Places(RawOutput(*requests(image[None])), side)

    def _compile(self) -> tuple[InferRequests, int]:
        if not self._graph.is_file():
            raise incomplete_bundle(self._graph.parents[1], "no OpenVINO graph in this bundle, which regions need")
        from hierpets.inference.engines.openvino import InferRequests, capabilities
        from hierpets.model.graph.places import answer_places
        from hierpets.model.graph.quantization import unquantize
        from hierpets.model.graph.runtime import openvino as ov

        quantized, has_bf16 = is_quantized(self._graph), "BF16" in capabilities()
        precision = choose_precision(self._precision, "openvino", "cpu", quantized=quantized, has_bf16=has_bf16)
        try:
            graph = ov.Core().read_model(self._graph)
            side = answer_places(graph if precision == "int8" else unquantize(graph), self.size)
            return InferRequests(graph, precision, count=self._workers, threads=self._threads), side
        except RuntimeError as error:
            raise BundleError(f"{self._graph}: OpenVINO cannot run this graph: {brief(error)}") from error
