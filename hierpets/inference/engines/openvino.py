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

# What OpenVINO calls the hardware that a precision needs. It takes a hint for what is not there, and ignores it.
CAPABILITY = {"bf16": "BF16", "f16": "FP16"}

# Photos that a worker takes at a time where there are many: what Python does for them in a row takes a third less time
# than after each photo anew, and their second looks, one after the other, find their graphs in the processor's cache.
STREAM_BATCH = 16

# Photos that a graph in eight-bit integers computes at once where there are as many: a tenth less time each, for its
# weights are read once for all of them. In floating point the photos push each other out of the processor's cache.
# That a photo's features are the same to the bit was seen with AVX2, AVX-512, VNNI and AMX: other processors take one.
TOGETHER = 8
SEEN_ON = ("x86_64", "AMD64")

# Compiled graphs in the cache: 7 MB each of the released model, two for each bundle and number of threads.
CACHE_BYTES = 2**30

_first_array = ProcessLock()
# OpenVINO sets the locale of the whole process while it reads a cache, and then puts back what it found (2026.4): two
# at once put back each other's, and every file that is opened as text after that is taken for ASCII.
_compiling = ProcessLock()


def capabilities() -> Collection[str]:
    """What this CPU computes in, by OpenVINO's names: ``FP32``, ``BF16``, ``FP16``, ..."""
    return ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_model(
    model: ov.Model | Path, precision: Precision = "f32", *, threads: int | None = None, cache: Path | None = None
) -> ov.CompiledModel:
    """Compile for the CPU, for one inference at a time on so many ``threads``; None: on all cores.

    What is compiled is kept in the folder ``cache``, if one is given and can be used, and starts sooner the next time.

    The precision is always given: left alone, OpenVINO takes bfloat16 on a CPU that has it, and rounds the activations
    of layers with packed weights. ``int8`` is a graph that is quantized; what is not, it computes in float32.

    :raises DeviceError: this CPU has no such precision.
    """
    require_precision(precision, capabilities())
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
    }
    if threads is not None:
        # Bound to cores, threads of several graphs would all be bound to the first.
        options |= {"INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": "NO"}
    if cache is not None and _is_usable(cache):
        options["CACHE_DIR"] = str(cache / _weights_key(model) if isinstance(model, Path) else cache)
    with _compiling:
        return ov.Core().compile_model(model, "CPU", options)


def _weights_key(graph: Path) -> str:
    """Changes whenever the weights of a graph in a file are replaced. OpenVINO knows what it compiled of a file by the
    path, the size and the second of the XML alone (2026.4), which builds that are reproducible keep.
    """
    try:
        stat = graph.with_suffix(".bin").stat()
    except OSError:  # so that it says what is missing, whatever it compiled before
        return "missing"
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}"


def _is_usable(cache: Path) -> bool:
    """Whether compiled graphs can be kept there. OpenVINO checks what it finds there, but not whether it can write."""
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
    """A graph as this CPU computes it in ``precision``, changed in place."""
    if precision == "int8":
        return graph if has_vnni() else avoid_overflow(graph)
    from hierpets.model.graph.quantization import unquantize

    return unquantize(graph)


def adapted(graph: Path, precision: Precision) -> ov.Model | Path:
    """The quantized graph in a file :func:`for_precision`: the file, which starts soonest, if nothing changes."""
    if precision == "int8" and has_vnni():
        return graph
    return for_precision(ov.Core().read_model(graph), precision)


@cache
def has_vnni() -> bool:
    """Whether this CPU adds products of eight-bit integers without an overflow; false where the system does not say."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


class OpenVinoEngine:
    """Runs the graph of a bundle on the CPU.

    With one stream, a photo gets all cores, for the lowest latency; with as many as there are cores, each photo gets
    one, for the highest throughput. If ``together``, graphs in eight-bit integers then compute :data:`TOGETHER` photos
    at once, and what is left of a batch one by one, which changes no bit of an answer.

    Each stream is a graph of its own that runs on the thread that calls. OpenVINO's own workers share one graph, but
    hand every photo to another thread and back, and a float graph with eight-bit weights that is compiled for several
    of them is now and then compiled wrong (2026.4).
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
        self.workers = max(2, workers)  # with one stream, one worker decodes while the other infers
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
            self._compiled = self._requests[self.at_once].prepare()  # the others wait until photos are left over
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
    """``count`` inferences of one graph at a time: each is a graph of its own, which runs on the thread that calls.

    One takes all ``threads`` (None: all cores), several of them their share. Each is compiled when it is first needed.
    """

    def __init__(self, model: ov.Model | Path, precision: Precision, *, count: int, threads: int | None):
        _init_numpy_bindings()
        each = threads if count == 1 else max(1, (threads or cores()) // count)
        self._compile = partial(compile_model, model, precision, threads=each, cache=cache_dir() / "openvino")
        # What was used last is taken first: a graph is compiled only where all that are there are busy.
        self._slots: LifoQueue[ov.InferRequest | None] = LifoQueue()
        self._count = count
        for _ in range(count):
            self._slots.put(None)

    def prepare(self) -> ov.CompiledModel:
        """Compile them all, and give one of them. :raises RuntimeError: it cannot be compiled."""
        with ExitStack() as taken:
            first, *_ = [taken.enter_context(self._request()) for _ in range(self._count)]
            return first.get_compiled_model()

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """The outputs for as many images as the graph takes, and as it takes them, in the order of the graph."""
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
    """An :func:`adapted` graph for :data:`TOGETHER` photos; None where it is fixed to one, or may round them otherwise
    than one.
    """
    if platform.machine() not in SEEN_ON:
        return None
    model = ov.Core().read_model(graph) if isinstance(graph, Path) else graph.clone()
    if not are_paired(model):  # an earlier hierpets wrote it
        return None
    try:
        model.reshape([TOGETHER, *model.input(0).shape[1:]])
    except RuntimeError:  # as where a backbone has no pretrained head, and zeros for one photo stand in its place
        return None
    return model if all(output.shape[0] == TOGETHER for output in model.outputs) else None


def _init_numpy_bindings() -> None:
    """Let the bindings prepare their use of numpy: two threads that have them do so at once wait for ever."""
    with _first_array:
        _ = ov.Tensor(np.zeros(1, np.float32)).data
