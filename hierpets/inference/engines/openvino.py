"""OpenVINO: the default on a CPU. Needs no torch."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from queue import LifoQueue
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from hierpets.bundle.layout import MANIFEST, brief, incomplete_bundle, is_quantized
from hierpets.cache import forget_oldest, warn_uncached
from hierpets.errors import BundleError, DeviceError, reason_of
from hierpets.files import cache_dir
from hierpets.inference.engines.base import Precision, RawOutput
from hierpets.model.graph.overflow import avoid_overflow
from hierpets.model.graph.pairs import are_paired
from hierpets.model.graph.runtime import openvino as ov
from hierpets.workers import ProcessLock, cores

__all__ = ["OpenVinoEngine", "adapted", "capabilities", "compile_model", "for_precision", "require_precision"]

# OpenVINO's name of the capability that a precision needs. It silently ignores a precision hint that it cannot follow.
CAPABILITY = {"bf16": "BF16", "f16": "FP16"}

# Batch size of a worker when there are many photos: Python's part takes a third less time for photos in a row, and
# second looks that follow each other find their graphs in the processor's cache.
STREAM_BATCH = 16

# Photos that an int8 graph computes at once: a tenth less time each, as the weights are read once for all of them. In
# floating point, the photos push each other out of the processor's cache. With AVX2, AVX-512, VNNI and AMX, a photo's
# features were measured to be bit-identical to those of the photo alone; other processors take one at a time.
TOGETHER = 8
MEASURED_ON = ("x86_64", "AMD64")

# Limit of the cache of compiled graphs: 7 MB each for the released model, two per bundle and number of threads.
CACHE_BYTES = 2**30

_first_array = ProcessLock()
# OpenVINO sets the locale of the whole process while it reads a cache, and then restores the previous one (2026.4). Two
# threads at once restore each other's, after which Python opens every text file as ASCII.
_compiling = ProcessLock()


def capabilities() -> Collection[str]:
    """The capabilities of this CPU by OpenVINO's names: ``FP32``, ``BF16``, ``FP16``, ..."""
    return ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_model(
    model: ov.Model | Path, precision: Precision = "f32", *, threads: int | None = None, cache: Path | None = None
) -> ov.CompiledModel:
    """Compile a graph for the CPU, for one inference at a time on this number of ``threads``; None: on all cores.

    The compiled graph is kept in the folder ``cache``, if one is given and can be used, and loads faster the next time.

    The precision is always set explicitly: by default, OpenVINO computes in bfloat16 on a CPU that supports it, and
    rounds the activations of layers with packed weights. ``int8`` is for quantized graphs; layers that are not
    quantized compute in float32.

    :raises DeviceError: this CPU does not support the precision.
    """
    require_precision(precision, capabilities())
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
    }
    if threads is not None:
        # With pinning, the threads of several graphs would all be pinned to the same first cores.
        options |= {"INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": "NO"}
    if cache is not None and _is_usable(cache):
        options["CACHE_DIR"] = str(cache / _weights_key(model) if isinstance(model, Path) else cache)
    with _compiling:
        return ov.Core().compile_model(model, "CPU", options)


def _weights_key(graph: Path) -> str:
    """A cache key that changes whenever the weights file of a graph is replaced.

    OpenVINO's own key is only the path, size and time in seconds of the XML file (2026.4), which reproducible builds
    keep.
    """
    try:
        stat = graph.with_suffix(".bin").stat()
    except OSError:  # not cached: OpenVINO then reports the missing file
        return "missing"
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}"


def _is_usable(cache: Path) -> bool:
    """Whether compiled graphs can be written to a folder, which OpenVINO does not check. Old ones are deleted."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache):
            pass
        forget_oldest(cache, CACHE_BYTES)
    except OSError as error:
        warn_uncached(cache, reason_of(error))
        return False
    return True


def require_precision(precision: Precision, capabilities: Collection[str]) -> None:
    """:raises DeviceError: the CPU, which has these ``capabilities``, does not support the precision."""
    if CAPABILITY.get(precision, "FP32") in capabilities:
        return
    able = [name for name in ("f32", "bf16", "f16") if CAPABILITY.get(name, "FP32") in capabilities]
    raise DeviceError(f"--precision {precision}: this CPU does not support it; choose {', '.join(able)}")


def for_precision(graph: ov.Model, precision: Precision) -> ov.Model:
    """Adapt a graph in place so that this CPU computes it in ``precision``."""
    if precision == "int8":
        return graph if has_vnni() else avoid_overflow(graph)
    from hierpets.model.graph.quantization import unquantize

    return unquantize(graph)


def adapted(graph: Path, precision: Precision) -> ov.Model | Path:
    """The quantized graph in a file, adapted :func:`for_precision`; its path, which loads fastest, if unchanged."""
    if precision == "int8" and has_vnni():
        return graph
    return for_precision(ov.Core().read_model(graph), precision)


@cache
def has_vnni() -> bool:
    """Whether this CPU adds products of eight-bit integers without overflow; False if the system does not say."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


class OpenVinoEngine:
    """Runs the graph of a bundle on the CPU.

    With one worker, a photo gets all cores, for the lowest latency; with as many workers as cores, each photo gets one
    core, for the highest throughput. If ``together``, int8 graphs of several workers compute :data:`TOGETHER` photos at
    once, and the rest of a batch one by one; outputs are bit-identical.

    Each worker has a compiled graph of its own that runs on the calling thread. OpenVINO's own streams would share one
    graph, but hand every photo to another thread and back, and a float graph with eight-bit weights that is compiled
    for several streams is occasionally compiled wrong (2026.4).
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        graph: Path,
        precision: Precision = "f32",
        *,
        workers: int = 1,
        threads: int | None = None,
        together: bool = True,
    ):
        if not graph.is_file():
            raise incomplete_bundle(graph.parents[1], "no OpenVINO graph in this bundle; use --engine torch")
        quantized = is_quantized(graph)
        if precision == "int8" and not quantized:
            raise BundleError(
                f"{graph}: --precision int8: the graph of this bundle is not quantized; choose f32 or bf16, or "
                "quantize it: hierpets export BUNDLE --format openvino --precision int8 --data DIR --overwrite"
            )
        self.precision: Precision = precision
        self.batch = 1 if workers == 1 else STREAM_BATCH
        self.workers = max(2, workers)  # with one graph, one thread decodes while the other infers
        try:
            alone = adapted(graph, precision) if quantized else graph
            models: dict[int, ov.Model | Path] = {1: alone}
            if together and workers > 1 and precision == "int8" and (several := _for_several(alone)) is not None:
                models = {TOGETHER: several, **models}
            self._requests = {
                photos: InferRequests(model, precision, count=workers, threads=threads)
                for photos, model in models.items()
            }
            self.at_once = max(models)
            self._compiled = self._requests[self.at_once].prepare()  # that for single photos when first needed
        except RuntimeError as error:
            raise BundleError(f"{graph}: OpenVINO cannot run this graph: {brief(error)}") from error
        self._graph = graph

    def check_shapes(self, size: int, features: int, species: int, leaves: int) -> None:
        """:raises BundleError: the graph takes photos of another size, or has not as many features or classes."""
        shapes = ([-1, size, size, 3], [-1, features], [-1, species], [-1, leaves], [-1, 1 + species])
        expected = [ov.PartialShape(shape) for shape in shapes]
        found = [port.partial_shape for port in (*self._compiled.inputs, *self._compiled.outputs)]
        if len(found) != len(expected) or not all(map(ov.PartialShape.compatible, found, expected)):
            raise BundleError(
                f"{self._graph}: expected photos of {size} pixels, {features} features, {species} species and {leaves} "
                f"leaves, as {MANIFEST} says; the graph has the shapes {', '.join(map(str, found))}; write it "
                "anew: hierpets export BUNDLE --format openvino --overwrite"
            )

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        parts = []
        for photos, requests in self._requests.items():
            while len(pixels) >= photos:
                parts.append(requests(pixels[:photos]))
                pixels = pixels[photos:]
        return RawOutput(*(parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))))


class InferRequests:
    """A pool of ``count`` compiled copies of one graph, each of which runs on the calling thread.

    A single copy uses all ``threads`` (None: all cores); several share them. Each is compiled when first needed.
    """

    def __init__(self, model: ov.Model | Path, precision: Precision, *, count: int, threads: int | None):
        _init_numpy_bindings()
        each = threads if count == 1 else max(1, (threads or cores()) // count)
        self._compile = partial(compile_model, model, precision, threads=each, cache=cache_dir() / "openvino")
        # Last in, first out: another copy is compiled only when all compiled ones are busy.
        self._slots: LifoQueue[ov.InferRequest | None] = LifoQueue()
        self._count = count
        for _ in range(count):
            self._slots.put(None)

    def prepare(self) -> ov.CompiledModel:
        """Compile all copies and return one of them. :raises RuntimeError: the graph cannot be compiled."""
        with ExitStack() as taken:
            first, *_ = [taken.enter_context(self._request()) for _ in range(self._count)]
            return first.get_compiled_model()

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """The outputs of the graph, in its order, for a batch of the size and layout that it takes."""
        with self._request() as request:
            request.set_input_tensor(ov.Tensor(images))
            request.infer()
            return [output.data.copy() for output in request.output_tensors]

    @contextmanager
    def _request(self) -> Iterator[ov.InferRequest]:
        slot = self._slots.get()
        try:
            if slot is None:
                slot = self._compile().create_infer_request()
            yield slot
        finally:
            self._slots.put(slot)


def _for_several(graph: ov.Model | Path) -> ov.Model | None:
    """An :func:`adapted` graph for :data:`TOGETHER` photos; None if it is fixed to one photo, or if its outputs for
    several photos may differ from those for one.
    """
    if platform.machine() not in MEASURED_ON:
        return None
    model = ov.Core().read_model(graph) if isinstance(graph, Path) else graph.clone()
    if not are_paired(model):  # written by an earlier hierpets
        return None
    try:
        model.reshape([TOGETHER, *model.input(0).shape[1:]])
    except RuntimeError:  # such as without a pretrained head, in whose place are zeros for one photo
        return None
    return model if all(output.shape[0] == TOGETHER for output in model.outputs) else None


def _init_numpy_bindings() -> None:
    """Initialize the use of numpy by the bindings: two threads that do so at once deadlock."""
    with _first_array:
        _ = ov.Tensor(np.zeros(1, np.float32)).data
