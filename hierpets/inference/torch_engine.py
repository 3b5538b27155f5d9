"""torch: the engine on CUDA, and the reference on a CPU."""

from __future__ import annotations

import numpy as np
import torch

from hierpets.errors import DeviceError
from hierpets.inference.engine import Precision, RawOutput
from hierpets.model.network import HierarchicalNetwork, NetworkOutput

__all__ = ["TorchEngine"]

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class MixedNetwork(torch.nn.Module):
    """A network whose backbone computes in half precision; heads and novelty scores keep float32, and cost little."""

    def __init__(self, network: HierarchicalNetwork, device: str, dtype: torch.dtype):
        super().__init__()
        self._network, self._device, self._dtype = network, device, dtype

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        with torch.autocast(self._device, dtype=self._dtype):
            features = self._network.backbone(images)
        return self._network.answer(features.float())


class TorchEngine:
    """Runs a network, with channels_last on CUDA."""

    name = "torch"

    def __init__(self, network: HierarchicalNetwork, device: str = "cpu", precision: Precision = "f32"):
        if device == "cuda" and precision == "bf16" and not torch.cuda.is_bf16_supported():
            raise DeviceError("--precision bf16: this GPU does not compute in it; choose f32, f16")
        self.device = device
        self.precision: Precision = precision
        network = network.eval().to(device)
        if device == "cuda":
            network.to(memory_format=torch.channels_last)
        self._network = network if precision == "f32" else MixedNetwork(network, device, DTYPES[precision])

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> RawOutput:
        batch = torch.from_numpy(images)
        if self.device == "cuda":
            batch = batch.pin_memory().to("cuda", memory_format=torch.channels_last, non_blocking=True)
        return RawOutput(*(tensor.float().cpu().numpy() for tensor in self._network(batch)))
