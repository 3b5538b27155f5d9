"""Let a graph take pixels as bytes, and normalize their colors itself.

The input is a quarter of the size of float32, and a quantized graph computes its first convolution in integers without
any loss, because pixels are integers already.
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
    """Change a graph, in place, to take RGB pixels uint8 [B, H, W, 3] instead of normalized float32 [B, 3, H, W]."""
    ops = ov.opset13
    (planes,) = graph.get_parameters()
    batch, _, height, width = planes.get_partial_shape()
    pixels = ops.parameter(ov.PartialShape([batch, height, width, 3]), np.uint8)
    pixels.output(0).get_tensor().set_names(planes.output(0).get_names())
    if any(node.get_type_name() == ROUNDING for node in graph.get_ordered_ops()):
        _quantize_input(graph, pixels, preprocess)
    scale, offset = (ops.constant(values.reshape(1, 3, 1, 1)) for values in color_scale(preprocess))
    transposed = ops.transpose(pixels, ops.constant(np.array(TO_PLANES)))
    normalized = ops.subtract(ops.multiply(ops.convert(transposed, "f32"), scale), offset)
    planes.output(0).replace(normalized.output(0))
    graph.add_parameters([pixels])
    graph.remove_parameter(planes)
    graph.validate_nodes_and_infer_types()


def _quantize_input(graph: ov.Model, pixels: ov.Node, preprocess: Preprocess) -> None:
    """Let the first convolutions read ``pixels`` directly, with the color scale moved into their filters.

    An integer convolution has a single input scale, so nothing changes if mean or standard deviation differ by color,
    or if the mean is no possible pixel. Padding, zero after normalization, becomes the mean color rounded down: an
    error of less than one step along the edge.
    """
    mean, *others = {*preprocess.mean}
    if others or len({*preprocess.std}) > 1 or not 0 <= mean <= 1:
        return
    scale, offset = (float(values[0]) for values in color_scale(preprocess))
    for convolution in first_convolutions(graph):
        filters, pads = integers_of(convolution.input_value(1).get_node()), _pads(convolution)
        if filters is not None and pads is not None:
            _read_pixels(convolution, pixels, *filters, pads, scale=scale, offset=offset, blank=LARGEST * mean)


def _read_pixels(
    convolution: ov.Node,
    pixels: ov.Node,
    integers: np.ndarray,
    filter_scale: np.ndarray,
    pads: tuple[ov.Output, ov.Output],
    *,
    scale: float,
    offset: float,
    blank: float,
) -> None:
    """Replace a convolution of ``pixels * scale - offset`` by one of ``pixels``.

    The filters are ``integers * filter_scale``. Where the old convolution pads zeros, the new one pads ``blank``.
    """
    ops = ov.opset13
    padding = ops.convert(ops.constant(np.float32(blank)), "u8")
    planes = ops.transpose(ops.pad(pixels, *pads, "constant", padding), ops.constant(np.array(TO_PLANES)))
    ends = [ops.constant(np.float32(value)) for value in (0, LARGEST)]
    rounded = ops.fake_quantize(ops.convert(planes, "f32"), *ends, *ends, LARGEST + 1)
    filters, attributes = scaled(integers, filter_scale * np.float32(scale)), convolution.get_attributes()
    product = ops.convolution(rounded, filters, attributes["strides"], [0, 0], [0, 0], attributes["dilations"])
    sums = (integers * filter_scale).sum(axis=(1, 2, 3), dtype=np.float64).reshape(1, -1, 1, 1)
    shifted = ops.subtract(product, ops.constant((sums * offset).astype(np.float32)))
    convolution.output(0).replace(shifted.output(0))


def _pads(convolution: ov.Node) -> tuple[ov.Output, ov.Output] | None:
    """Return the padding before and after each axis of the pixels [B, H, W, 3] that a convolution of the input sees.

    None where it reads anything but the input, padded with zeros or not at all.
    """
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
    """Whether a Pad node pads the input of the graph with zeros."""
    value = pad.input_value(3).get_node()
    return bool(
        pad.input_value(0).get_node().get_type_name() == "Parameter"
        and pad.get_attributes()["pad_mode"] == "constant"
        and value.get_type_name() == "Constant"
        and not np.any(value.data)
    )
