"""Filters that overflow on no processor: their integers, and what a processor without VNNI makes of them."""

import os
import platform
import subprocess
import sys

import numpy as np
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hierpets.model.graph.overflow import MAX_SUM, avoid_overflow, divided

ops = ov.opset13
CHANNELS = 8
PHOTO = np.full((1, CHANNELS, 4, 4), 255, np.float32)
FILTERS = {
    "overflows": np.full((2, CHANNELS), 127, np.int8),
    "overflows below": np.full((2, CHANNELS), -127, np.int8),
    "neighbors make up for each other": np.tile(np.array([127, -127], np.int8), (2, CHANNELS // 2)),
    "small": np.full((2, CHANNELS), 64, np.int8),
}


@st.composite
def filters_and_axes(draw):
    axis = draw(st.sampled_from([1, 2]))
    shape = draw(arrays.array_shapes(min_dims=axis + 1, max_dims=axis + 3, max_side=5))
    return draw(arrays.arrays(np.int8, shape, elements=st.integers(-127, 127))), axis


def sums_of_neighbors(filters, axis):
    """The largest sum of two neighbors' positive or of their negative integers."""
    channels = np.moveaxis(filters.astype(int), axis, 0)
    pairs = [channels[i : i + 2] for i in range(0, len(channels), 2)]
    return max(np.clip(sign * pair, 0, None).sum(axis=0).max() for pair in pairs for sign in (1, -1))


@given(filters_and_axes())
def test_neighbors_never_add_up_to_more_than_sixteen_bits_hold(given_filters):
    filters, axis = given_filters
    integers, factor = divided(filters, axis)
    assert integers.dtype == np.int8
    assert sums_of_neighbors(integers, axis) * 255 < 2**15
    assert factor.shape == filters.shape[:axis] + (1,) * (filters.ndim - axis)
    np.testing.assert_allclose(integers * factor, filters, atol=factor.max() / 2 + 1e-4)


@given(filters_and_axes())
def test_a_filter_is_divided_only_where_it_must_be(given_filters):
    filters, axis = given_filters
    integers, factor = divided(filters, axis)
    for place in np.ndindex(filters.shape[:axis]):
        if sums_of_neighbors(filters[place], 0) <= MAX_SUM:
            np.testing.assert_array_equal(integers[place], filters[place])
        else:
            assert 1 < factor[place].item() <= 2 * 127 / (MAX_SUM - 1)


def layer(kind, integers):
    """A graph of one layer in eight-bit integers, of photos [1, CHANNELS, 4, 4] between 0 and 255."""
    photo = ops.parameter([1, CHANNELS, 4, 4], np.float32)
    ends = [ops.constant(np.float32(value)) for value in (0, 255)]
    rounded = ops.fake_quantize(photo, *ends, *ends, 256)
    if kind == "matrix":
        rounded = ops.transpose(rounded, ops.constant(np.array([0, 2, 3, 1])))
        integers = integers.reshape(2, CHANNELS)
    else:
        integers = integers.reshape(2, CHANNELS, 1, 1)
    scale = np.full((2, *[1] * (integers.ndim - 1)), 0.01, np.float32)
    filters = ops.multiply(ops.convert(ops.constant(integers), "f32"), ops.constant(scale))
    if kind == "matrix":
        return ov.Model([ops.matmul(rounded, filters, False, True)], [photo], kind)
    return ov.Model([ops.convolution(rounded, filters, [1, 1], [0, 0], [0, 0], [1, 1])], [photo], kind)


def answered(graph):
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(PHOTO)[0].ravel()[[0, -1]]


def print_answers():
    """What this processor makes of every layer, as it is and after it was divided; run by the test below."""
    for kind in ("convolution", "matrix"):
        for filters in FILTERS.values():
            print(*answered(layer(kind, filters)), *answered(avoid_overflow(layer(kind, filters))))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="what overflows is an instruction of x86")
def test_layers_are_right_where_a_processor_has_no_vnni():
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=True)
    found = np.array([line.split() for line in done.stdout.splitlines()], float).reshape(2, len(FILTERS), 4)
    expected = np.array([0.01 * 255 * filters[0].astype(int).sum() for filters in FILTERS.values()])
    for answers in found:
        for filters, truth in enumerate(expected):
            np.testing.assert_allclose(answers[filters, 2:], truth, rtol=0.01, atol=0.1)
    assert abs(found[0, 0, 0]) < 0.9 * expected[0]  # a convolution that is left as it is: cut off


def test_a_layer_in_floating_point_is_left_as_it_is():
    graph = layer("convolution", FILTERS["overflows"])
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            node.output(0).replace(node.input_value(0))
    before = graph.clone()
    avoid_overflow(graph)
    for old, new in zip(before.get_ordered_ops(), graph.get_ordered_ops(), strict=True):
        if old.get_type_name() == "Constant":
            np.testing.assert_array_equal(old.data, new.data)


if __name__ == "__main__":
    print_answers()
