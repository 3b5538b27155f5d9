"""Quantize activations to eight bits with NNCF and calibration photos, and undo it.

The weights of a bundle have eight bits already (:mod:`hierpets.model.rounding`). NNCF adds a FakeQuantize operation
wherever activations are to be rounded, and a CPU then computes convolutions in integers. Weights and biases stay
unchanged, so that removing those operations restores the float32 graph: one file serves both precisions. The first
convolutions are quantized in :mod:`hierpets.model.graph.pixels`.
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
from hierpets.model.graph.runtime import without_telemetry

__all__ = ["POOLING", "quantize", "unquantize"]

POOLING = ("ReduceMean", "AvgPool", "AdaptiveAvgPool")

UNBOUNDED = frozenset({"Relu", "PRelu", "Elu", "Selu", "Gelu", "Swish", "HSwish", "Mish", "SoftPlus"})
"""Activation functions without an upper bound."""


def quantize(graph: ov.Model, images: Sequence[np.ndarray]) -> ov.Model:
    """Quantize the activations of a float32 graph, with ranges from ``images``, each float32 [1, 3, size, size].

    Everything after the pooling (heads and scores) stays in float32: that costs nothing, and LDA depends on small
    differences. So do the first convolutions, whose input, pixels, is exact in eight bits anyway.

    :raises ConfigError: NNCF is not installed.
    """
    with needed_for("--precision int8"), without_telemetry():
        import nncf
        from nncf.quantization.advanced_parameters import QuantizationParameters
    # Otherwise NNCF logs every ignored operation. Its own set_log_level changes the handlers of the whole process.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    # One of its imports warns about nvcc without a GPU, though nothing is compiled.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    bounded = _is_bounded(graph)
    with redirect_stdout(io.StringIO()):  # it draws a progress bar of its own
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
    """Remove the rounding of activations, in place, and return the graph."""
    _begin_in_float(graph)
    for node in graph.get_ordered_ops():
        if node.get_type_name() == ROUNDING:
            node.output(0).replace(node.input_value(0))
    graph.validate_nodes_and_infer_types()
    return graph


def _begin_in_float(graph: ov.Model) -> None:
    """Let first convolutions that are computed in integers compute in floating point, in place."""
    ops = ov.opset13
    for convolution in first_convolutions(graph):
        rounding = convolution.input_value(0).get_node()
        if rounding.get_type_name() != ROUNDING:
            continue
        planes = rounding.input_value(0).get_node().input_value(0).get_node()
        pixels, begin, end, blank = planes.input_value(0).get_node().input_values()
        exact = ops.pad(ops.convert(pixels, "f32"), begin, end, "constant", blank.get_node().input_value(0))
        transposed = ops.transpose(exact, planes.input_value(1))
        convolution.input(0).replace_source_output(transposed.output(0))


def _is_bounded(graph: ov.Model) -> bool:
    """Whether all activation functions have a fixed upper bound, as ReLU6 has.

    If so, one range from zero to the bound serves all channels. NNCF would give each channel before a depthwise
    convolution its own range, taken from the calibration photos: this clips what only other animals activate, and
    requantizing per channel is slow on processors with AMX. Unbounded activations need ranges per channel, because
    their channels differ a lot.
    """
    kinds = {node.get_type_name() for node in graph.get_ordered_ops()}
    return "Clamp" in kinds and not kinds & UNBOUNDED


def _kept_in_float(graph: ov.Model) -> set[str]:
    """Names of the nodes that :func:`quantize` leaves in float32."""
    after = [node for node in graph.get_ordered_ops() if node.get_type_name() in POOLING]
    kept = (*first_convolutions(graph), *_downstream(after))
    return {node.get_friendly_name() for node in kept if node.get_type_name() != "Constant"}


def _downstream(nodes: Sequence[ov.Node]) -> Iterator[ov.Node]:
    """Yield ``nodes`` and every node that depends on them, results excepted."""
    waiting, seen = list(nodes), set()
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() in seen or node.get_type_name() == "Result":
            continue
        seen.add(node.get_friendly_name())
        yield node
        waiting += [target.get_node() for output in node.outputs() for target in output.get_target_inputs()]
