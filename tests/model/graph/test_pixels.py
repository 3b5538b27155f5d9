"""Graphs that take photos as they are, in floating point and in integers."""

from functools import cache

import numpy as np
import openvino as ov
import pytest
import torch
from timm.layers import create_conv2d

from hierpets.data.transforms import normalize
from hierpets.inference.engines.openvino import has_vnni
from hierpets.model.graph.convert import convert_module
from hierpets.model.graph.overflow import avoid_overflow
from hierpets.model.graph.packing import pack_graph
from hierpets.model.graph.pixels import take_pixels
from hierpets.model.graph.quantization import quantize, unquantize
from hierpets.model.rounding import round_weights
from hierpets.plugin import Preprocess

SIZE = 24
GRAY = Preprocess(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
COLORED = Preprocess(size=SIZE)
DARK = Preprocess(size=SIZE, mean=(-0.1, -0.1, -0.1), std=(0.5, 0.5, 0.5))
PADDINGS = {"of the layer": 1, "as TensorFlow's": "same", "none": 0}


class Small(torch.nn.Module):
    def __init__(self, padding):
        super().__init__()
        torch.manual_seed(0)
        self.first = create_conv2d(3, 8, 3, stride=2, padding=padding, bias=True)
        self.second = torch.nn.Conv2d(8, 16, 3)
        round_weights(self)

    def forward(self, images):
        return self.second(self.first(images).clamp(0, 6)).clamp(0, 6).mean((2, 3))


TILES = np.random.default_rng(0).integers(0, 256, size=(8, 4, 4, 3)).astype(np.uint8)
PHOTOS = TILES.repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2)


def planes(preprocess, photos=PHOTOS):
    return np.stack([normalize(preprocess, photo) for photo in photos])


def answers(module, images):
    with torch.inference_mode():
        return module(torch.from_numpy(images)).numpy()


def run(graph, images):
    """What a graph gives for each image; a copy whose filters are divided, where they would overflow."""
    served = graph if has_vnni() else avoid_overflow(graph.clone())
    compiled = ov.Core().compile_model(served, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled({0: image[None]})[0] for image in images])


def converted(module):
    graph = convert_module(module, SIZE)
    graph.reshape([1, 3, SIZE, SIZE])
    return graph


@cache
def quantized(padding, preprocess):
    """The quantized graph of a small network before it takes pixels."""
    return quantize(converted(Small(padding)), [image[None] for image in planes(preprocess)])


def of_pixels(graph, preprocess=GRAY):
    """A copy of a graph that takes pixels."""
    graph = graph.clone()
    take_pixels(graph, preprocess)
    pack_graph(graph)
    return graph


def roundings_of_pixels(graph):
    """The operations that round what is made of pixels without a layer of the network."""
    (parameter,) = graph.get_parameters()
    found, waiting = set(), [parameter]
    while waiting:
        node = waiting.pop()
        found |= {node.get_friendly_name()} if node.get_type_name() == "FakeQuantize" else set()
        if "Convolution" not in node.get_type_name():
            waiting += [target.get_node() for output in node.outputs() for target in output.get_target_inputs()]
    return found


@pytest.mark.parametrize("preprocess", [GRAY, COLORED], ids=["one scale", "a scale for each color"])
@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_a_graph_in_float_answers_pixels_as_its_network_answers_what_is_made_of_them(padding, preprocess):
    module = Small(padding)
    graph = of_pixels(converted(module), preprocess)
    assert graph.input(0).get_element_type() == ov.Type.u8
    np.testing.assert_allclose(run(graph, PHOTOS), answers(module, planes(preprocess)), atol=1e-5)


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_a_quantized_graph_begins_in_integers_and_loses_nothing_by_it(padding):
    graph, expected = of_pixels(quantized(padding, GRAY)), run(quantized(padding, GRAY), planes(GRAY))
    assert len(roundings_of_pixels(graph)) == 1
    # The same but for what is padded, and for values between two steps of what is rounded after it.
    near = 0.01 if has_vnni() else 0.015  # filters that were divided are coarser
    np.testing.assert_allclose(run(graph, PHOTOS), expected, atol=near * np.abs(expected).max())


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_the_way_back_from_integers_is_exact_at_the_edges_too(padding):
    graph = unquantize(of_pixels(quantized(padding, GRAY)))
    np.testing.assert_allclose(run(graph, PHOTOS), answers(Small(padding), planes(GRAY)), atol=1e-4)


@pytest.mark.parametrize("preprocess", [COLORED, DARK], ids=["a scale for each color", "no pixel of the mean color"])
def test_colors_that_integers_cannot_hold_stay_in_float(preprocess):
    graph = of_pixels(quantized(1, preprocess), preprocess)
    assert not roundings_of_pixels(graph)
    np.testing.assert_allclose(run(graph, PHOTOS), run(quantized(1, preprocess), planes(preprocess)), atol=1e-5)


def test_filters_that_are_not_rounded_stay_in_float():
    module = Small(1)
    torch.nn.init.normal_(module.first.weight)
    graph = quantize(converted(module), [image[None] for image in planes(GRAY)])
    assert not roundings_of_pixels(of_pixels(graph))
    np.testing.assert_allclose(run(of_pixels(graph), PHOTOS), run(graph, planes(GRAY)), atol=1e-5)


def test_a_graph_that_takes_pixels_can_be_made_to_take_larger_photos():
    graph = unquantize(of_pixels(quantized("same", GRAY)))
    graph.reshape([1, 40, 40, 3])
    larger = PHOTOS.repeat(2, axis=1).repeat(2, axis=2)[:, :40, :40]
    np.testing.assert_allclose(run(graph, larger), answers(Small("same"), planes(GRAY, larger)), atol=1e-4)
