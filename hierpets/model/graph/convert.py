"""Convert torch modules to OpenVINO graphs, which run without torch."""

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
    """A network whose heads are computed in pairs, as written to a bundle: see :mod:`hierpets.model.graph.pairs`."""

    def __init__(self, network: HierarchicalNetwork):
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor) -> NetworkOutput:
        return forward_in_pairs(self.network, self.network.backbone(inputs))


def convert_module(module: torch.nn.Module, size: int) -> ov.Model:
    """Convert a module that takes float32 [B, 3, size, size]; the batch size stays dynamic.

    :raises PluginError: the module branches on the content of photos.
    """
    model = _convert(module, 3, size, size)
    model.inputs[0].get_tensor().set_names({"images"})
    return model


def convert_heads(network: HierarchicalNetwork) -> ov.Model:
    """Convert a network without a backbone: the graph takes features float32 [B, D], and outputs them as well."""
    return _convert(_InPairs(network), network.leaf_head.in_features)


def trace(module: torch.nn.Module, *shape: int) -> torch.jit.ScriptModule:
    """Trace a module in eval mode on zeros, float32 [1, *shape].

    The module may be on any device, and stays there: a copy on the CPU is traced.
    """
    with warnings.catch_warnings():
        # torch deprecates torch.jit.trace, but OpenVINO still needs it; users can do nothing about that.
        warnings.simplefilter("ignore")
        # torch's own check would run the module four times on the very input that it was traced with.
        return torch.jit.trace(on_cpu(module).eval(), torch.zeros(1, *shape), check_trace=False)


@torch.no_grad()
def _check_paths(module: torch.nn.Module, traced: torch.jit.ScriptModule, shape: tuple[int, ...]) -> None:
    """Check that a trace gives the module's features for a dark and for a bright photo.

    Call this after converting the trace: once it has run, it cannot be converted.

    :raises PluginError: the module branches on the content of photos, and the trace holds one branch alone.
    """
    noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    for photo in (noise - 2, noise + 2):
        with torch.jit.optimized_execution(False):  # optimizing would take longer than it saves
            expected, found = (_features(compute(photo)) for compute in (module, traced))
        finite = bool(expected.isfinite().all())  # other features are refused where they are extracted
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
    """Write a network as OpenVINO IR that takes the pixels of one photo: an xml file, and a bin file beside it.

    The folder of ``path`` is created. With ``calibration`` photos, each float32 [1, 3, size, size], the graph is
    quantized and can be computed in int8. ``options`` are stored in the file as defaults for compiling it.
    """
    size = preprocess.size
    graph = convert_module(_InPairs(network), size)
    # With a fixed shape, kernels are made when the graph is compiled, and cached with it, not at the first photo.
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
    """Write a graph unchanged: an xml file, and a bin file beside it.

    :raises OSError: a file cannot be written.
    """
    try:
        ov.save_model(graph, path, compress_to_fp16=False)
    except RuntimeError as error:  # a stream error, which does not say why it failed
        raise OSError(None, "cannot be written; is the disk full?", str(path)) from error


def _convert(module: torch.nn.Module, *shape: int) -> ov.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in trace
        traced = trace(module, *shape)
        graph = ov.convert_model(traced, example_input=torch.zeros(1, *shape), input=[-1, *shape])
        _check_paths(on_cpu(module), traced, shape)
    return graph


def _name(graph: ov.Model) -> None:
    """Name the graph and its nodes by their order, so that the same network always gives the same bytes.

    OpenVINO's own names contain a counter that runs on through the process.
    """
    graph.set_friendly_name(NAME)
    for number, node in enumerate(graph.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")


def on_cpu(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module if it is on the CPU, else a copy of it there."""
    tensors = (*module.parameters(), *module.buffers())
    return module if all(tensor.device.type == "cpu" for tensor in tensors) else deepcopy(module).cpu()
