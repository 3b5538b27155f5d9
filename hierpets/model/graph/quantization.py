"""Eight-bit activations: where a graph rounds them, found by NNCF from calibration photos, and the way back.

The weights of a bundle have eight bits already (:mod:`hierpets.model.rounding`). NNCF adds a FakeQuantize operation
where activations are rounded too, and a CPU then computes convolutions in integers. Weights and biases are left as they
are, so that taking those operations out gives the graph in float32 again: one file serves both. What a graph begins
with is rounded where it takes pixels (:mod:`hierpets.model.graph.pixels`).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout

import numpy as np

from hierpets.libraries import needed_for
from hierpets.model.graph.inputs import ROUNDING, first_convolutions
from hierpets.model.graph.runtime import openvino as ov

__all__ = ["POOLING", "quantize", "unquantize"]

POOLING = ("ReduceMean", "AvgPool", "AdaptiveAvgPool")

UNBOUNDED = frozenset({"Relu", "PRelu", "Elu", "Selu", "Gelu", "Swish", "HSwish", "Mish", "SoftPlus"})
"""Activations that a large input makes large."""


def quantize(graph: ov.Model, images: Sequence[np.ndarray]) -> ov.Model:
    """Round the activations of a float32 graph, by the ranges that ``images`` (each float32 [1, 3, size, size]) show.

    What follows the pooling (heads and scores) stays in float32: it costs nothing, and LDA is a matter of small
    differences. So does the first convolution, whose input is exact in eight bits as it is.

    :raises ConfigError: NNCF is not installed.
    """
    with needed_for("--precision int8"):
        import nncf
        from nncf.quantization.advanced_parameters import QuantizationParameters
    # Else it logs each operation that it leaves alone. Its own set_log_level changes the handlers of the whole process.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    # What it imports warns of an nvcc without a GPU, though nothing is compiled.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    bounded = _is_bounded(graph)
    with redirect_stdout(io.StringIO()):  # where it draws a bar of its own
        return nncf.quantize(
            graph,
            nncf.Dataset(images),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.PERFORMANCE if bounded else nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=sorted(_kept_in_float(graph)), validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True,
                overflow_fix=nncf.OverflowFix.DISABLE,
                activations_quantization_params=QuantizationParameters(per_channel=False) if bounded else None,
            ),
        )


def unquantize(graph: ov.Model) -> ov.Model:
    """Take the rounding of activations out, in place."""
    _begin_in_float(graph)
    for node in graph.get_ordered_ops():
        if node.get_type_name() == ROUNDING:
            node.output(0).replace(node.input_value(0))
    graph.validate_nodes_and_infer_types()
    return graph


def _begin_in_float(graph: ov.Model) -> None:
    """Compute what reads pixels in floating point, in place, where it is computed in integers."""
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


def _is_bounded(graph: ov.Model) -> bool:
    """Whether all activations end at a fixed bound, as ReLU6 does.

    One range, from zero to the bound, then serves all channels. NNCF would give each channel ahead of a depthwise
    convolution a range of its own, as far as the calibration photos go: what other animals alone excite is cut off, and
    requantizing by channel is slow where a processor has AMX. Unbounded activations need it: their channels differ
    much.
    """
    kinds = {node.get_type_name() for node in graph.get_ordered_ops()}
    return "Clamp" in kinds and not kinds & UNBOUNDED


def _kept_in_float(graph: ov.Model) -> set[str]:
    after = [node for node in graph.get_ordered_ops() if node.get_type_name() in POOLING]
    kept = (*first_convolutions(graph), *_downstream(after))
    return {node.get_friendly_name() for node in kept if node.get_type_name() != "Constant"}


def _downstream(nodes: Sequence[ov.Node]) -> Iterator[ov.Node]:
    waiting, seen = list(nodes), set()
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() in seen or node.get_type_name() == "Result":
            continue
        seen.add(node.get_friendly_name())
        yield node
        waiting += [target.get_node() for output in node.outputs() for target in output.get_target_inputs()]
