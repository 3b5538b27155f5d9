"""Filters and matrices of a graph, stored as integers times scales."""

from __future__ import annotations

import numpy as np

from hierpets.model.graph.runtime import openvino as ov

__all__ = ["filters_of", "scaled"]


def scaled(integers: np.ndarray, scale: np.ndarray) -> ov.Node:
    """Return the graph node that multiplies int8 ``integers`` by their float32 ``scale``."""
    ops = ov.opset13
    return ops.multiply(ops.convert(ops.constant(integers), "f32"), ops.constant(scale))


def filters_of(node: ov.Node) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the int8 integers and float32 scales of a layer's filters; None if they are not stored in that form.

    None also for a matrix that is not transposed, whose channels lie along another axis.
    """
    product = node.input_value(1).get_node()
    if product.get_type_name() != "Multiply" or node.get_attributes().get("transpose_b") is False:
        return None
    integers, scale = (_constant(product.input_value(side).get_node()) for side in (0, 1))
    if integers is None or scale is None or integers.dtype != np.int8:
        return None
    return integers, scale.astype(np.float32)


def _constant(node: ov.Node) -> np.ndarray | None:
    """The values of a constant in their stored type, before any conversion; None if the node is no constant."""
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.data) if node.get_type_name() == "Constant" else None
