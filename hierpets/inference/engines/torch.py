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

BATCH_SIZES = 16  # number of batch sizes, powers of two: more than fit into any memory
ROUNDED = (torch.nn.Conv2d, torch.nn.Linear)  # not their subclasses, which may compute with their weights
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class MixedNetwork(torch.nn.Module):
    """A copy of a network whose backbone computes in half precision; heads and scores, which cost little, keep float32.

    Weights are rounded once here; autocast would do it again for each batch.
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
    """A network that takes pixels uint8 [B, h, w, 3] and normalizes them on its device: a quarter as much to copy."""

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
    """Runs a network in channels_last; on CUDA, copying one batch overlaps with computing another.

    cuDNN plans convolutions for each batch size, and ``compile`` compiles for each: batches are therefore padded to a
    power of two on CUDA and with ``compile``. Planning takes seconds, and torch keeps the plans per thread: a thread of
    the engine's own runs every batch. ``guard`` is that of the network's backbone: if the network fails, it reports the
    plugin that built it.

    :raises DeviceError: the GPU does not support ``precision`` or has too little memory; also raised by calls.
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
        # Every core decodes for a GPU, which always has a next batch; on the CPU the network itself takes all cores.
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
        batch = torch.from_numpy(_padded(pixels) if self._planned else pixels)
        if self._copies is not None:
            batch = batch.pin_memory()
        pending = self._thread.submit(self._submit, batch, len(pixels)).result()
        return pending.result()  # on CUDA, the next batch is submitted meanwhile

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
    """An output that may still be being copied: on CUDA, ``arrived`` is the event of its arrival. Rows after the first
    ``rows`` are padding.
    """

    rows: int
    output: NetworkOutput
    arrived: torch.cuda.Event | None = None

    def result(self) -> RawOutput:
        """Wait for the output."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return RawOutput(*(tensor[: self.rows].numpy() for tensor in self.output))


class Copies:
    """Copies batches from pinned memory to the GPU on a stream of its own, and outputs back asynchronously."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def upload(self, batch: torch.Tensor) -> torch.Tensor:
        """The batch on the GPU; the current stream waits for the copy."""
        with torch.cuda.stream(self._stream):
            on_device = batch.to("cuda", non_blocking=True)
        current = torch.cuda.current_stream()
        current.wait_stream(self._stream)
        on_device.record_stream(current)  # its memory must not be given to the next batch before it is read
        return on_device

    def download(self, rows: int, output: NetworkOutput) -> Pending:
        """Start to copy the output into pinned memory."""
        host = [torch.empty(tensor.shape, dtype=torch.float32, pin_memory=True) for tensor in output]
        for target, source in zip(host, output, strict=True):
            target.copy_(source, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return Pending(rows, NetworkOutput(*host), arrived)


def _own_thread(device: str) -> ThreadPoolExecutor:
    """A pool of one thread with the same current GPU as the calling thread; by default it would be the first GPU."""
    if device != "cuda":
        return ThreadPoolExecutor(1, thread_name_prefix="torch")
    chosen = (torch.cuda.current_device(),)
    return ThreadPoolExecutor(1, thread_name_prefix="torch", initializer=torch.cuda.set_device, initargs=chosen)


def _compile_limits() -> dict[str, Any]:
    """Options that make torch compile each network for every batch size, if this version of torch has them.

    By default it compiles for eight sizes, counted over all networks, and runs later ones uncompiled.
    """
    known = inspect.signature(torch.compile).parameters
    limits = {"isolate_recompiles": True, "recompile_limit": BATCH_SIZES}
    return {name: limit for name, limit in limits.items() if name in known}


def _padded(pixels: np.ndarray) -> np.ndarray:
    """A batch padded with black photos to a power of two; this changes no output, as rows are independent."""
    rows = filled_size(len(pixels))
    if rows == len(pixels):
        return pixels
    return np.concatenate([pixels, np.zeros((rows - len(pixels), *pixels.shape[1:]), pixels.dtype)])
