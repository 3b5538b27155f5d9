"""Put new heads on a converted graph, whose backbone stays as it was converted and quantized."""

from __future__ import annotations

from hierpets.errors import BundleError
from hierpets.model.graph.convert import convert_heads
from hierpets.model.graph.packing import pack_graph
from hierpets.model.graph.pairs import mark_paired
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.network import HierarchicalNetwork, NetworkOutput

__all__ = ["replace_heads"]


def replace_heads(graph: ov.Model, network: HierarchicalNetwork) -> ov.Model:
    """Return ``graph`` up to its features, followed by the heads and OOD scorer of a ``network`` without a backbone.

    :raises BundleError: the graph does not have the outputs of a bundle.
    """
    names = [name for output in graph.outputs for name in output.get_names()]
    if "features" not in names:
        raise BundleError(f"a graph without an output 'features', only {', '.join(names)}: not that of a bundle")
    features = graph.output("features").get_node().input_value(0)
    heads = convert_heads(network)
    pack_graph(heads)
    for consumer in heads.inputs[0].get_target_inputs():
        consumer.replace_source_output(features)
    outputs = [output.get_node().input_value(0) for output in heads.outputs]
    replaced = ov.Model([ov.opset13.result(output) for output in outputs], graph.get_parameters())
    for output, name in zip(replaced.outputs, NetworkOutput._fields, strict=True):
        output.get_tensor().set_names({name})
    mark_paired(replaced)
    return replaced
