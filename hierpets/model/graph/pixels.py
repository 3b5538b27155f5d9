"""A graph that takes photos as they are, in bytes, and brings their colors to the scale of its network itself.

A quarter as much is handed over, and a graph whose activations are rounded begins in integers: pixels are integers
already, so that its first convolution loses nothing by it.
"""

from __future__ import annotations

import numpy as np

from hierpets.data.transforms import color_scale
from hierpets.model.graph.filters import scaled
from hierpets.model.graph.inputs import ROUNDING, first_convolutions
from hierpets.model.graph.packing import integers_of
from hierpets.model.graph.runtime import openvino as ov
from hierpets.plugin import Preprocess

__all__ = ["take_pixels"]

LARGEST = 255
TO_PLANES, TO_PIXELS = (0, 3, 1, 2), (0, 2, 3, 1)  # the axes of [B, 3, H, W] in [B, H, W, 3], and back


def take_pixels(graph: ov.Model, preprocess: Preprocess) -> None:
    """Let a graph take uint8 [B, H, W, 3] in RGB, in place of the float32 [B, 3, H, W] that is made of them."""
    ops = ov.opset13
    (planes,) = graph.get_parameters()
    batch, _, height, width = planes.get_partial_shape()
    pixels = ops.parameter(ov.PartialShape([batch, height, width, 3]), np.uint8)
    pixels.output(0).get_tensor().set_names(planes.output(0).get_names())
    if any(node.get_type_name() == ROUNDING for node in graph.get_ordered_ops()):
        _begin_in_integers(graph, pixels, preprocess)
    scale, offset = (ops.constant(values.reshape(1, 3, 1, 1)) for values in color_scale(preprocess))
    turned = ops.transpose(pixels, ops.constant(np.array(TO_PLANES)))
    normalized = ops.subtract(ops.multiply(ops.convert(turned, "f32"), scale), offset)
    planes.output(0).replace(normalized.output(0))
    graph.add_parameters([pixels])
    graph.remove_parameter(planes)
    graph.validate_nodes_and_infer_types()


def _begin_in_integers(graph: ov.Model, pixels: ov.Node, preprocess: Preprocess) -> None:
    """Let the first convolutions that can be computed in integers take ``pixels``, and their filters the scale.

    None can where each color has a scale of its own, for a convolution in integers has one for all that it reads. What
    is padded is a pixel too: that below the mean color, which must be one, less than a step off along the edge.
    """
    mean, *others = {*preprocess.mean}
    if others or len({*preprocess.std}) > 1 or not 0 <= mean <= 1:
        return
    scale, offset = (float(values[0]) for values in color_scale(preprocess))
    for convolution in first_convolutions(graph):
        filters, pads = integers_of(convolution.input_value(1).get_node()), _pads(convolution)
        if filters is not None and pads is not None:
            _in_integers(convolution, pixels, *filters, pads, scale=scale, offset=offset, blank=LARGEST * mean)


def _in_integers(
    convolution: ov.Node,
    pixels: ov.Node,
    integers: np.ndarray,
    own: np.ndarray,
    pads: tuple[ov.Output, ov.Output],
    *,
    scale: float,
    offset: float,
    blank: float,
) -> None:
    """Replace a convolution of ``pixels * scale - offset`` by one of pixels; its filters are ``integers * own``, and
    where it pads zeros, this one pads ``blank`` pixels.
    """
    ops = ov.opset13
    around = ops.convert(ops.constant(np.float32(blank)), "u8")
    planes = ops.transpose(ops.pad(pixels, *pads, "constant", around), ops.constant(np.array(TO_PLANES)))
    ends = [ops.constant(np.float32(value)) for value in (0, LARGEST)]
    rounded = ops.fake_quantize(ops.convert(planes, "f32"), *ends, *ends, LARGEST + 1)
    filters, attributes = scaled(integers, own * np.float32(scale)), convolution.get_attributes()
    product = ops.convolution(rounded, filters, attributes["strides"], [0, 0], [0, 0], attributes["dilations"])
    sums = (integers * own).sum(axis=(1, 2, 3), dtype=np.float64).reshape(1, -1, 1, 1)
    shifted = ops.subtract(product, ops.constant((sums * offset).astype(np.float32)))
    convolution.output(0).replace(shifted.output(0))


def _pads(convolution: ov.Node) -> tuple[ov.Output, ov.Output] | None:
    """Pixels before and after each axis of the input that a convolution of it sees; None where it sees other things."""
    ops = ov.opset13
    attributes, before = convolution.get_attributes(), convolution.input_value(0).get_node()
    begin, end = ([0, *attributes[f"pads_{edge}"], 0] for edge in ("begin", "end"))
    if before.get_type_name() == "Parameter" and attributes["auto_pad"] in ("explicit", "valid"):
        return ops.constant(np.array(begin)).output(0), ops.constant(np.array(end)).output(0)
    if any((*begin, *end)) or before.get_type_name() != "Pad" or not _pads_zeros(before):
        return None
    order, axis = ops.constant(np.array(TO_PIXELS)), ops.constant(np.int64(0))
    first, last = (ops.gather(before.input_value(number), order, axis).output(0) for number in (1, 2))
    return first, last


def _pads_zeros(pad: ov.Node) -> bool:
    """Whether the input of the graph is padded, and with zeros."""
    value = pad.input_value(3).get_node()
    return bool(
        pad.input_value(0).get_node().get_type_name() == "Parameter"
        and pad.get_attributes()["pad_mode"] == "constant"
        and value.get_type_name() == "Constant"
        and not np.any(value.data)
    )
