"""The OpenVINO graph of a torch module: converted once, after which torch is not needed to run it."""

from __future__ import annotations

import warnings

import torch

from hierpets.light_openvino import openvino as ov

__all__ = ["convert_module"]


def convert_module(module: torch.nn.Module, size: int) -> ov.Model:
    """Trace a module that takes float32 [B, 3, size, size]; the batch axis stays free."""
    module, example = module.eval(), torch.zeros(1, 3, size, size)
    with warnings.catch_warnings():
        # OpenVINO reads a torch.jit trace, which torch deprecates: for OpenVINO to change, not for the user to read.
        warnings.simplefilter("ignore")
        # The trace is not checked against itself, which would run the module four times; bundles are checked whole.
        traced = torch.jit.trace(module, example, check_trace=False)
        model = ov.convert_model(traced, example_input=example, input=[-1, 3, size, size])
    model.inputs[0].get_tensor().set_names({"images"})
    return model
