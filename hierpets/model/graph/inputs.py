"""Find the first layers of a graph."""

from __future__ import annotations

from hierpets.model.graph.runtime import openvino as ov

__all__ = ["ROUNDING", "first_convolutions"]

ROUNDING = "FakeQuantize"


def first_convolutions(graph: ov.Model) -> list[ov.Node]:
    """Return the convolutions that read the input of a graph with no other convolution in between."""
    return [node for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution" and _reads_input(node)]


def _reads_input(node: ov.Node) -> bool:
    source = node.input_value(0).get_node()
    while source.get_input_size() and "Convolution" not in source.get_type_name():
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == "Parameter")
