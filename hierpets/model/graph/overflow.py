"""Scale int8 filters so that their products cannot overflow on any processor.

Without VNNI, OpenVINO multiplies bytes by the integers of a filter and adds the products of each two neighboring
channels in 16 bits, where larger sums saturate. A filter that could reach that is divided, and its scale multiplied, by
the smallest sufficient factor. (The usual remedy, filters of seven bits, divides all of them by two.)
"""

from __future__ import annotations

import numpy as np

from hierpets.model.graph.filters import filters_of, scaled
from hierpets.model.graph.inputs import ROUNDING
from hierpets.model.graph.runtime import openvino as ov

__all__ = ["avoid_overflow", "divided"]

MAX_SUM = (2**15 - 1) // 255
"""Largest sum of two neighbors in a filter that cannot overflow, whatever bytes they are multiplied by."""

CHANNELS = {"Convolution": 1, "GroupConvolution": 2, "MatMul": 1}
"""Axis of the input channels of a layer's filters."""

MOVES = ("Transpose", "Reshape", "Pad", "MaxPool")  # operations that keep rounded values rounded


def avoid_overflow(graph: ov.Model) -> ov.Model:
    """Divide the filters of a quantized graph that may overflow, in place, and return the graph."""
    for node in graph.get_ordered_ops():
        axis = CHANNELS.get(node.get_type_name())
        if axis is None or not _takes_bytes(node) or (filters := filters_of(node)) is None:
            continue
        integers, scale = filters
        integers, factor = divided(integers, axis)
        node.input(1).replace_source_output(scaled(integers, scale * factor).output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def divided(filters: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide int8 filters so that no two neighbors along ``axis`` add up to more than :data:`MAX_SUM`.

    :returns: the divided filters int8, and the divisor of each filter, float32, of length one from ``axis`` on.
    """
    channels = np.moveaxis(filters, axis, -1)
    if channels.shape[-1] % 2:
        channels = np.concatenate([channels, np.zeros_like(channels[..., :1])], axis=-1)
    sums = [
        np.abs(np.add(own[..., ::2], own[..., 1::2], dtype=np.int16))
        for own in (np.maximum(channels, 0), np.minimum(channels, 0))
    ]
    largest = np.maximum(*sums).max(axis=tuple(range(axis, filters.ndim)), keepdims=True)
    factor = np.where(largest > MAX_SUM, largest / (MAX_SUM - 1), 1).astype(
        np.float32
    )  # rounding may add one to the sum
    return np.rint(filters / factor).astype(np.int8), factor


def _takes_bytes(node: ov.Node) -> bool:
    source = node.input_value(0).get_node()
    while source.get_type_name() in MOVES:
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == ROUNDING)
