"""New heads on the graph of an old network: its backbone stays as it was converted, and quantized."""

from __future__ import annotations

import warnings

import torch

from hierpets.errors import BundleError
from hierpets.model.graph.packing import pack_graph
from hierpets.model.graph.pairs import forward_in_pairs, mark_paired
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.network import HierarchicalNetwork, NetworkOutput

__all__ = ["replace_heads"]


class _AfterBackbone(torch.nn.Module):
    """Features [1, D] to the other outputs of a network."""

    def __init__(self, network: HierarchicalNetwork):
        super().__init__()
        self.network = network

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(forward_in_pairs(self.network, features)[1:])


def replace_heads(graph: ov.Model, network: HierarchicalNetwork) -> ov.Model:
    """The graph up to its features, then the heads and OOD scorer of ``network``, whose backbone is not looked at.

    :raises BundleError: the graph does not have the outputs of a bundle.
    """
    names = [name for output in graph.outputs for name in output.get_names()]
    if "features" not in names:
        raise BundleError(f"a graph without an output 'features', only {', '.join(names)}: not that of a bundle")
    features = graph.output("features").get_node().input_value(0)
    heads = _convert(network)
    for consumer in heads.inputs[0].get_target_inputs():
        consumer.replace_source_output(features)
    after = [output.get_node().input_value(0) for output in heads.outputs]
    grown = ov.Model([ov.opset13.result(output) for output in (features, *after)], graph.get_parameters())
    for output, name in zip(grown.outputs, NetworkOutput._fields, strict=True):
        output.get_tensor().set_names({name})
    mark_paired(grown)
    return grown


def _convert(network: HierarchicalNetwork) -> ov.Model:
    example = torch.zeros(1, network.leaf_head.in_features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in convert_module
        traced = torch.jit.trace(_AfterBackbone(network).eval(), example, check_trace=False)
        heads = ov.convert_model(traced, example_input=example, input=[-1, network.leaf_head.in_features])
    pack_graph(heads)
    return heads
