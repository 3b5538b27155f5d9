"""What runs a network: one small protocol, and how its engine, device and precision are chosen."""

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

# What each engine can compute in. Whether this machine's hardware can is for the engine to find out.
COMPUTES: dict[tuple[str, str], tuple[Precision, ...]] = {
    ("openvino", "cpu"): ("f32", "bf16", "f16", "int8"),
    ("torch", "cpu"): ("f32", "bf16"),
    ("torch", "cuda"): ("f32", "bf16", "f16"),
}


@dataclass(frozen=True)
class EngineOptions:
    """What runs the network and in what it computes: keyword arguments of :func:`hierpets.load`."""

    engine: EngineName = "auto"
    device: Device = "auto"
    precision: Precision = "auto"
    compile: bool = False


class RawOutput(NamedTuple):
    """float32 arrays of one batch: ``features`` [B, D], ``species`` logits [B, S], ``leaf`` logits [B, L].

    ``scores`` [B, 1 + S]: the pet score, and for each species the probability that its breed is a listed one.
    """

    features: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    scores: np.ndarray

    @property
    def outputs(self) -> Outputs:
        """The same without the features."""
        from hierpets.hierarchy.outputs import Outputs

        return Outputs(self.species, self.leaf, self.scores)


class Engine(Protocol):
    """Maps the pixels of a batch, RGB uint8 [B, h, w, 3], to a :class:`RawOutput`.

    ``name`` and ``device`` say what runs it, ``precision`` is its number format. It may be called from several
    threads; ``workers`` of them, each with batches of ``batch`` photos that it decodes itself, give the highest
    throughput.
    """

    name: str
    device: str
    precision: Precision
    workers: int
    batch: int

    def __call__(self, pixels: np.ndarray) -> RawOutput: ...


def check_choices(*, engine: str, precision: str) -> None:
    """:raises ConfigError: a word that is none of the choices."""
    _check_choice("engine", engine, ENGINES)
    _check_choice("precision", precision, PRECISIONS)


def _check_choice(name: str, given: str, choices: Sequence[str]) -> None:
    if given not in choices:
        raise ConfigError(f"{name}: expected one of {', '.join(choices)}, got {given!r}{did_you_mean(given, choices)}")


def choose_device(device: Device) -> str:
    """``cpu`` or ``cuda``. A device that was asked for is never replaced, and ``auto`` warns of a GPU that fails.

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
    """What to compute in. ``quantized``: the graph holds int8; ``has_bf16``: the CPU computes in bfloat16.

    ``auto`` is f16 on CUDA. With OpenVINO it is int8 where the graph was found good enough to hold it, else bf16 where
    the CPU has it, else f32. With torch on a CPU, the reference, it is f32.

    :raises DeviceError: the engine has no such precision on that device.
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
    """The least power of two that holds so many rows: where every size of a batch is prepared on its own, few are."""
    return 1 << (rows - 1).bit_length()


def warm_up(engine: Engine, size: int, *, batch_size: int = 1, times: int = 3) -> None:
    """Run black photos of ``size`` pixels, so that what is prepared at the first call is left out of timings."""
    import numpy as np

    for _ in range(times):
        engine(np.zeros((batch_size, size, size, 3), np.uint8))


def _cuda_available(*, only_if_loaded: bool) -> bool:
    # Importing torch costs seconds; where no NVIDIA driver is there to be found, `auto` need not ask it.
    if only_if_loaded and not (_driver_present() and is_installed("torch")):
        return False
    import torch

    return bool(torch.cuda.is_available())


def _cuda_failure() -> str | None:
    """Why the GPU computes nothing: torch has no kernels for it, its memory is full, another process has it alone."""
    import torch

    own = os.environ.get("LOCAL_RANK")  # of a process that torchrun started: the first GPU is not for all of them
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
