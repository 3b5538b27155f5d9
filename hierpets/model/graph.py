"""The OpenVINO graph of a torch module: converted once, after which torch is not needed to run it."""

from __future__ import annotations

import openvino as ov
import torch

__all__ = ["convert_module"]


def convert_module(module: torch.nn.Module, size: int) -> ov.Model:
    """Trace a module that takes float32 [B, 3, size, size]; the batch axis stays free."""
    model = ov.convert_model(module.eval(), example_input=torch.zeros(1, 3, size, size), input=[-1, 3, size, size])
    model.inputs[0].get_tensor().set_names({"images"})
    return model
