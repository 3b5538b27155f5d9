"""The OpenVINO graph of a torch module: converted once, after which torch is not needed to run it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from hierpets.errors import PluginError
from hierpets.model.graph.packing import pack_graph
from hierpets.model.graph.pairs import forward_in_pairs, mark_paired
from hierpets.model.graph.pixels import take_pixels
from hierpets.model.graph.quantization import quantize
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.network import HierarchicalNetwork, NetworkOutput
from hierpets.plugin import Preprocess

__all__ = ["convert_heads", "convert_module", "on_cpu", "save_graph", "trace", "write_graph"]

NAME = "hierpets"


class _InPairs(torch.nn.Module):
    """A network as it is written."""

    def __init__(self, network: HierarchicalNetwork):
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor) -> NetworkOutput:
        return forward_in_pairs(self.network, self.network.backbone(inputs))


def convert_module(module: torch.nn.Module, size: int) -> ov.Model:
    """The graph of a module that takes float32 [B, 3, size, size]; the batch axis stays free.

    :raises PluginError: the module takes another path for other photos.
    """
    model = _convert(module, 3, size, size)
    model.inputs[0].get_tensor().set_names({"images"})
    return model


def convert_heads(network: HierarchicalNetwork) -> ov.Model:
    """The graph of a network that has no backbone: it takes features float32 [B, D], and gives them as well."""
    return _convert(_InPairs(network), network.leaf_head.in_features)


def trace(module: torch.nn.Module, *shape: int) -> torch.jit.ScriptModule:
    """What a module does with float32 [1, *shape], in eval mode.

    The module may be on any device, and stays there: a copy on the CPU is traced.
    """
    with warnings.catch_warnings():
        # OpenVINO reads a torch.jit trace, which torch deprecates: for OpenVINO to change, not for the user to read.
        warnings.simplefilter("ignore")
        # The trace is not checked against itself, which would run the module four times on what it was traced with.
        return torch.jit.trace(on_cpu(module).eval(), torch.zeros(1, *shape), check_trace=False)


@torch.no_grad()
def _check_paths(module: torch.nn.Module, traced: torch.jit.ScriptModule, shape: tuple[int, ...]) -> None:
    """Whether the trace has the features of a dark and of a bright photo. It cannot be converted after it has run.

    :raises PluginError: the module takes another path for other photos, and a trace holds one of them.
    """
    noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    for photo in (noise - 2, noise + 2):
        with torch.jit.optimized_execution(False):  # which would take longer than it saves
            expected, found = (_features(computed(photo)) for computed in (module, traced))
        finite = bool(expected.isfinite().all())  # others are refused where features are computed
        if finite and not torch.allclose(found, expected, rtol=0, atol=1e-3 * float(expected.abs().max())):
            raise PluginError(
                "expected a network that takes the same path for every photo, but a branch depends on how dark one is, "
                "and the graph of a bundle would hold one side of it; use torch.where"
            )


def _features(output: torch.Tensor | NetworkOutput) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output[0]


def write_graph(
    path: Path,
    network: HierarchicalNetwork,
    preprocess: Preprocess,
    *,
    calibration: Sequence[np.ndarray] = (),
    options: Mapping[str, str] | None = None,
) -> None:
    """The network as OpenVINO IR for the pixels of one photo at a time: an xml file, and a bin file beside it. Its
    folder is made.

    With photos for ``calibration`` (each float32 [1, 3, size, size]) it is quantized, and can be computed in int8.
    The file brings ``options`` for whoever compiles it without them.
    """
    size = preprocess.size
    graph = convert_module(_InPairs(network), size)
    # A fixed shape: the kernels for it are made while the graph is compiled, and kept with it, not at the first photo.
    graph.reshape([1, 3, size, size])
    for output, name in zip(graph.outputs, NetworkOutput._fields, strict=True):
        output.get_tensor().set_names({name})
    if len(calibration):
        graph = quantize(graph, calibration)
    take_pixels(graph, preprocess)
    pack_graph(graph)
    mark_paired(graph)
    for option, value in (options or {}).items():
        graph.set_rt_info(value, ["runtime_options", option])
    _name(graph)
    path.parent.mkdir(exist_ok=True)
    save_graph(graph, path)


def save_graph(graph: ov.Model, path: Path) -> None:
    """Write a graph as it is: an xml file, and a bin file beside it.

    :raises OSError: a file cannot be written.
    """
    try:
        ov.save_model(graph, path, compress_to_fp16=False)
    except RuntimeError as error:  # of a stream, which says no more than that it failed
        raise OSError(None, "cannot be written; is the disk full?", str(path)) from error


def _convert(module: torch.nn.Module, *shape: int) -> ov.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in trace
        traced = trace(module, *shape)
        graph = ov.convert_model(traced, example_input=torch.zeros(1, *shape), input=[-1, *shape])
        _check_paths(on_cpu(module), traced, shape)
    return graph


def _name(graph: ov.Model) -> None:
    """Name the graph and its nodes by their order: OpenVINO's own names count what this process made before, and the
    same network would not be the same bytes.
    """
    graph.set_friendly_name(NAME)
    for number, node in enumerate(graph.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")


def on_cpu(module: torch.nn.Module) -> torch.nn.Module:
    """The module itself if it is there, else a copy."""
    tensors = (*module.parameters(), *module.buffers())
    return module if all(tensor.device.type == "cpu" for tensor in tensors) else deepcopy(module).cpu()
