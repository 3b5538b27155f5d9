"""What a graph takes, and what it begins with."""

from __future__ import annotations

from hierpets.model.graph.runtime import openvino as ov

__all__ = ["ROUNDING", "begin_in_float", "first_convolutions", "takes_pixels"]

ROUNDING = "FakeQuantize"


def takes_pixels(graph: ov.Model | ov.CompiledModel) -> bool:
    """Whether a graph takes photos as they are, and not what normalization makes of them, as earlier ones do."""
    return bool(graph.input(0).get_element_type() == ov.Type.u8)


def begin_in_float(graph: ov.Model) -> ov.Model:
    """Compute what reads pixels in floating point, in place, where it is computed in integers.

    A processor without VNNI adds eight-bit products in sixteen bits, which those of pixels overflow.
    """
    ops = ov.opset13
    for convolution in first_convolutions(graph):
        rounding = convolution.input_value(0).get_node()
        if rounding.get_type_name() != ROUNDING:
            continue
        planes = rounding.input_value(0).get_node().input_value(0).get_node()
        pixels, begin, end, blank = planes.input_value(0).get_node().input_values()
        exact = ops.pad(ops.convert(pixels, "f32"), begin, end, "constant", blank.get_node().input_value(0))
        turned = ops.transpose(exact, planes.input_value(1))
        convolution.input(0).replace_source_output(turned.output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def first_convolutions(graph: ov.Model) -> list[ov.Node]:
    """The convolutions with no other between them and the input of a graph."""
    return [node for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution" and _reads_input(node)]


def _reads_input(node: ov.Node) -> bool:
    source = node.input_value(0).get_node()
    while source.get_input_size() and "Convolution" not in source.get_type_name():
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == "Parameter")
