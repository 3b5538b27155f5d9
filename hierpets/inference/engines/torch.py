"""torch: the engine on CUDA, and the reference on a CPU."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch

from hierpets.data.transforms import color_scale
from hierpets.errors import DeviceError, within_gpu_memory
from hierpets.inference.engines.base import Precision, RawOutput, filled_size
from hierpets.model.cudnn import exact_float32
from hierpets.model.network import HierarchicalNetwork, NetworkOutput
from hierpets.plugin import Guard, Preprocess
from hierpets.workers import cores

__all__ = ["TorchEngine"]

BATCH_SIZES = 16  # powers of two, more than any memory holds
ROUNDED = (torch.nn.Conv2d, torch.nn.Linear)  # and none made of them, which may compute something of their weights
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class MixedNetwork(torch.nn.Module):
    """A copy of a network whose backbone computes in half precision; heads and scores keep float32, and cost little.

    Filters and matrices are rounded here once, as autocast would round them for each batch anew.
    """

    def __init__(self, network: HierarchicalNetwork, device: str, dtype: torch.dtype):
        super().__init__()
        self._network, self._device, self._dtype = deepcopy(network), device, dtype
        for module in self._network.backbone.modules():
            if type(module) in ROUNDED:
                module.to(dtype)

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        with torch.autocast(self._device, dtype=self._dtype):
            features = self._network.backbone(images)
        return self._network.forward_head(features.float())


class FromPixels(torch.nn.Module):
    """A network that takes pixels uint8 [B, h, w, 3], and normalizes them where it runs: a quarter is copied there."""

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, network: torch.nn.Module, preprocess: Preprocess):
        super().__init__()
        self.network = network
        for name, values in zip(("scale", "offset"), color_scale(preprocess), strict=True):
            self.register_buffer(name, torch.from_numpy(values).view(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> NetworkOutput:
        planes = pixels.permute(0, 3, 1, 2).float()  # in channels_last, as the pixels are
        output: NetworkOutput = self.network(planes * self.scale - self.offset)
        return output


class TorchEngine:
    """Runs a network in channels_last; on CUDA, copies of one batch overlap with the computing of another.

    cuDNN plans every convolution anew for each size of a batch, and so does ``compile``: there, batches are filled up
    to a power of two. Torch keeps cuDNN's plans with the thread that made them, and making them takes seconds: one
    thread of the engine's own runs every batch, whichever threads ask. ``guard`` is that of the network's backbone:
    where the network fails, it says which plugin built it.

    :raises DeviceError: at the call, too: the GPU does not support ``precision``, or has not the memory.
    """

    name = "torch"

    def __init__(
        self,
        network: HierarchicalNetwork,
        preprocess: Preprocess,
        device: str = "cpu",
        precision: Precision = "f32",
        *,
        compile: bool = False,
        guard: Guard = nullcontext,
    ):
        if device == "cuda" and precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise DeviceError("--precision bf16: this GPU does not support it; choose f32, f16")
        self.device, self._guard = device, guard
        self.precision: Precision = precision
        # A GPU is fed by every core, and always has the next batch; on the CPU the network takes all cores by itself.
        self.workers, self.batch = (cores() + 1, 32) if device == "cuda" else (2, 4)
        self._copies = Copies() if device == "cuda" else None
        self._thread = _own_thread(device)
        self._planned = compile or device == "cuda"
        runs: Any = network.eval() if precision == "f32" else MixedNetwork(network.eval(), device, DTYPES[precision])
        whole: Any = FromPixels(runs, preprocess)
        with within_gpu_memory():
            whole = whole.to(device, memory_format=torch.channels_last)
        self._network = torch.compile(whole, dynamic=False, **_compile_limits()) if compile else whole

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        batch = torch.from_numpy(_filled_up(pixels) if self._planned else pixels)
        if self._copies is not None:
            batch = batch.pin_memory()
        pending = self._thread.submit(self._submit, batch, len(pixels)).result()
        return pending.result()  # on CUDA another batch is on its way meanwhile

    @within_gpu_memory()
    @torch.inference_mode()
    def _submit(self, batch: torch.Tensor, rows: int) -> Pending:
        if self._copies is None:
            return Pending(rows, self._run(batch))
        with exact_float32:
            output = self._run(self._copies.upload(batch))
        return self._copies.download(rows, output)

    def _run(self, batch: torch.Tensor) -> NetworkOutput:
        with self._guard():
            return NetworkOutput(*self._network(batch))


class Pending(NamedTuple):
    """An output that may still be on its way; on CUDA ``arrived`` says when it is there. The first ``rows`` count."""

    rows: int
    output: NetworkOutput
    arrived: torch.cuda.Event | None = None

    def result(self) -> RawOutput:
        """Wait for the output."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return RawOutput(*(tensor[: self.rows].numpy() for tensor in self.output))


class Copies:
    """Batches from pinned memory to the GPU on a stream of their own; outputs back without waiting for them."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def upload(self, batch: torch.Tensor) -> torch.Tensor:
        """The batch on the GPU, when the current stream gets there."""
        with torch.cuda.stream(self._stream):
            on_device = batch.to("cuda", non_blocking=True)
        current = torch.cuda.current_stream()
        current.wait_stream(self._stream)
        on_device.record_stream(current)  # its memory must not be given to the next batch before it is read
        return on_device

    def download(self, rows: int, output: NetworkOutput) -> Pending:
        """The output in pinned memory, when its event has come."""
        host = [torch.empty(tensor.shape, dtype=torch.float32, pin_memory=True) for tensor in output]
        for target, source in zip(host, output, strict=True):
            target.copy_(source, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return Pending(rows, NetworkOutput(*host), arrived)


def _own_thread(device: str) -> ThreadPoolExecutor:
    """A thread whose current GPU is that of the thread that calls: each would have the first one otherwise."""
    if device != "cuda":
        return ThreadPoolExecutor(1, thread_name_prefix="torch")
    chosen = (torch.cuda.current_device(),)
    return ThreadPoolExecutor(1, thread_name_prefix="torch", initializer=torch.cuda.set_device, initargs=chosen)


def _compile_limits() -> dict[str, Any]:
    """That each network is compiled for every size of a batch, where torch can be told so: by itself it compiles for
    eight, those of all networks together, and runs what comes later as it is.
    """
    known = inspect.signature(torch.compile).parameters
    limits = {"isolate_recompiles": True, "recompile_limit": BATCH_SIZES}
    return {name: limit for name, limit in limits.items() if name in known}


def _filled_up(pixels: np.ndarray) -> np.ndarray:
    """A batch padded with black photos, up to a power of two; no row depends on another."""
    rows = filled_size(len(pixels))
    if rows == len(pixels):
        return pixels
    return np.concatenate([pixels, np.zeros((rows - len(pixels), *pixels.shape[1:]), pixels.dtype)])
