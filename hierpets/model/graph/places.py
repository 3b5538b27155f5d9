"""Let a graph answer for each place of its last feature map instead of for the whole photo.

The features are the mean over all places and the heads are linear, so the logits of a photo are the mean of those of
its places. This locates animals without another network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.errors import ConfigError
from hierpets.model.graph.quantization import POOLING
from hierpets.model.graph.runtime import openvino as ov

__all__ = ["answer_places"]

NO_MAP = (
    "regions: the features of this model's backbone are not the mean over the places of a map, by which animals are "
    "found; give it boxes"
)


def answer_places(graph: ov.Model, size: int) -> int:
    """Change a graph, in place, to take a photo of ``size`` pixels and return one output row per place of its last map.

    The places are in row-major order.

    :returns: number of places on a side of the map.
    :raises ConfigError: the features are not the mean over the places of one map, or of several maps of one size.
    """
    try:
        graph.reshape([1, size, size, 3])
    except RuntimeError as error:  # a network for one input size alone, such as a transformer
        raise ConfigError(NO_MAP) from error
    pools = list(_pools(graph.output("features").get_node()))
    shapes = {tuple(pool.input_value(0).get_shape())[2:] for pool in pools}
    if len(shapes) != 1:
        raise ConfigError(NO_MAP)
    ops = ov.opset13
    for pool in pools:
        channels = pool.input_value(0).get_shape()[1]
        by_place = ops.transpose(pool.input_value(0), ops.constant(np.array([0, 2, 3, 1])))
        shape = np.array([-1, channels, 1, 1][: len(pool.output(0).get_shape())])
        pool.output(0).replace(ops.reshape(by_place, ops.constant(shape), special_zero=False).output(0))
    graph.validate_nodes_and_infer_types()
    ((height, _),) = shapes
    return int(height)


def _pools(node: ov.Node) -> Iterator[ov.Node]:
    """Yield the nodes that average over all places, between ``node`` and the convolutions before it."""
    for source in node.input_values():
        above = source.get_node()
        if above.get_type_name() in POOLING and _is_over_places(above):
            yield above
        elif above.get_input_size() and "Convolution" not in above.get_type_name():
            yield from _pools(above)


def _is_over_places(node: ov.Node) -> bool:
    before, after = node.input_value(0).get_shape(), node.output(0).get_shape()
    return len(before) == 4 and list(after) in ([*before[:2], 1, 1], [*before[:2]])
