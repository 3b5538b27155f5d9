"""torch: the engine on CUDA, and the reference on a CPU."""

from __future__ import annotations

import numpy as np
import torch

from hierpets.inference.engine import RawOutput
from hierpets.model.network import HierarchicalNetwork

__all__ = ["TorchEngine"]


class TorchEngine:
    """Runs a network in float32 on the CPU, and under float16 autocast with channels_last on CUDA."""

    name = "torch"

    def __init__(self, network: HierarchicalNetwork, device: str = "cpu"):
        self.device = device
        self._network = network.eval().to(device)
        if device == "cuda":
            self._network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> RawOutput:
        batch = torch.from_numpy(images)
        if self.device == "cuda":
            batch = batch.pin_memory().to("cuda", memory_format=torch.channels_last, non_blocking=True)
        with torch.autocast("cuda", dtype=torch.float16, enabled=self.device == "cuda"):
            output = self._network(batch)
        return RawOutput(*(tensor.float().cpu().numpy() for tensor in output))
