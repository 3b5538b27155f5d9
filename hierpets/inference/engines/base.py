"""The protocol of an engine, which runs a network, and the choice of engine, device and precision."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

from hierpets.errors import ConfigError, DeviceError, did_you_mean, first_line
from hierpets.libraries import is_installed

if TYPE_CHECKING:  # the command line imports this module for its options
    import numpy as np

    from hierpets.hierarchy.outputs import Outputs

__all__ = [
    "DEVICES",
    "ENGINES",
    "PRECISIONS",
    "Device",
    "Engine",
    "EngineName",
    "EngineOptions",
    "Precision",
    "RawOutput",
    "check_choices",
    "choose_device",
    "choose_engine",
    "choose_precision",
    "filled_size",
    "warm_up",
]

_log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
EngineName = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "f32", "bf16", "f16", "int8"]
DEVICES: tuple[Device, ...] = get_args(Device)
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

# Precisions of each engine. Whether the hardware at hand supports one is checked by the engine.
COMPUTES: dict[tuple[str, str], tuple[Precision, ...]] = {
    ("openvino", "cpu"): ("f32", "bf16", "f16", "int8"),
    ("torch", "cpu"): ("f32", "bf16"),
    ("torch", "cuda"): ("f32", "bf16", "f16"),
}


@dataclass(frozen=True)
class EngineOptions:
    """The choice of engine, device and precision: keyword arguments of :func:`hierpets.load`."""

    engine: EngineName = "auto"
    device: Device = "auto"
    precision: Precision = "auto"
    compile: bool = False


class RawOutput(NamedTuple):
    """Output of a network for one batch, float32: ``features`` [B, D], ``species`` logits [B, S], ``leaf`` logits [B,
    L].

    ``scores`` [B, 1 + S]: the pet score, then for each species the probability that the breed is a listed one.
    """

    features: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    scores: np.ndarray

    @property
    def outputs(self) -> Outputs:
        """The output without the features."""
        from hierpets.hierarchy.outputs import Outputs

        return Outputs(self.species, self.leaf, self.scores)


class Engine(Protocol):
    """Maps the pixels of a batch, RGB uint8 [B, h, w, 3], to a :class:`RawOutput`.

    ``name`` and ``device`` say what runs the network, ``precision`` is its number format. An engine may be called from
    several threads. Throughput is highest with ``workers`` threads, each of which decodes and runs batches of ``batch``
    photos.
    """

    name: str
    device: str
    precision: Precision
    workers: int
    batch: int

    def __call__(self, pixels: np.ndarray) -> RawOutput: ...


def check_choices(*, engine: str, precision: str) -> None:
    """:raises ConfigError: a value that is not one of the choices."""
    _check_choice("engine", engine, ENGINES)
    _check_choice("precision", precision, PRECISIONS)


def _check_choice(name: str, given: str, choices: Sequence[str]) -> None:
    if given not in choices:
        raise ConfigError(f"{name}: expected one of {', '.join(choices)}, got {given!r}{did_you_mean(given, choices)}")


def choose_device(device: Device) -> str:
    """Return ``"cpu"`` or ``"cuda"``. Only ``auto`` falls back to the CPU, with a warning if there is a GPU that fails.

    :raises ConfigError: a device that does not exist.
    :raises DeviceError: ``cuda`` without a CUDA device, or with one that computes nothing.
    """
    _check_choice("device", device, DEVICES)
    if device == "cpu" or not _cuda_available(only_if_loaded=device == "auto"):
        if device == "cuda":
            raise DeviceError("--device cuda: torch finds no CUDA device here; use --device cpu or auto")
        return "cpu"
    failure = _cuda_failure()
    if failure is None:
        return "cuda"
    if device == "cuda":
        raise DeviceError(f"--device cuda: this GPU cannot be used: {failure}; use --device cpu")
    _log.warning("computing on the CPU, for the GPU cannot be used: %s; --device cpu asks for that", failure)
    return "cpu"


def choose_engine(engine: EngineName, device: str, *, compile: bool = False) -> Literal["openvino", "torch"]:
    """OpenVINO on a CPU, torch on CUDA, unless given. ``compile`` is an option of torch.

    :raises DeviceError: the engine does not run on that device.
    :raises ConfigError: ``compile`` with OpenVINO.
    """
    if engine == "openvino" and device == "cuda":
        raise DeviceError("--engine openvino runs on the CPU; use --engine torch with --device cuda")
    chosen = ("torch" if device == "cuda" else "openvino") if engine == "auto" else engine
    if compile and chosen == "openvino":
        raise ConfigError("compile is for the engine torch; the engine openvino always compiles")
    return chosen


def choose_precision(
    precision: Precision, engine: str, device: str, *, quantized: bool = False, has_bf16: bool = False
) -> Precision:
    """The precision to compute in. ``quantized``: the graph is quantized to int8; ``has_bf16``: the CPU supports
    bfloat16.

    ``auto`` is f16 on CUDA. With OpenVINO it is int8 if the graph is quantized, else bf16 if the CPU supports it, else
    f32. With torch on a CPU, which is the reference, it is f32.

    :raises DeviceError: the engine does not support the precision on that device.
    """
    if precision == "auto":
        if device == "cuda":
            return "f16"
        fast: Precision = "int8" if quantized else "bf16" if has_bf16 else "f32"
        return fast if engine == "openvino" else "f32"
    choices = COMPUTES[engine, device]
    if precision not in choices:
        raise DeviceError(
            f"--precision {precision}: the engine {engine} does not support it on {device}; choose {', '.join(choices)}"
        )
    return precision


def filled_size(rows: int) -> int:
    """The smallest power of two that is at least ``rows``: engines that prepare each batch size separately then prepare
    few.
    """
    return 1 << (rows - 1).bit_length()


def warm_up(engine: Engine, size: int, *, batch_size: int = 1, times: int = 3) -> None:
    """Run black photos of ``size`` pixels, so that timings do not include what an engine prepares at its first call."""
    import numpy as np

    for _ in range(times):
        engine(np.zeros((batch_size, size, size, 3), np.uint8))


def _cuda_available(*, only_if_loaded: bool) -> bool:
    # Importing torch takes seconds: `auto` does not do it on a machine without an NVIDIA driver.
    if only_if_loaded and not (_driver_present() and is_installed("torch")):
        return False
    import torch

    return bool(torch.cuda.is_available())


def _cuda_failure() -> str | None:
    """Why the GPU cannot be used, such as no kernels in torch, full memory or exclusive use by another process; else
    None.
    """
    import torch

    own = os.environ.get("LOCAL_RANK")  # set by torchrun, which gives each process a GPU of its own
    try:
        torch.ones(1, device=f"cuda:{own}" if own else "cuda").add(1).item()
    except RuntimeError as error:
        return first_line(error)
    return None


def _driver_present() -> bool:
    import ctypes
    import sys

    library: Any = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
