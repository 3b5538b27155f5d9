import numpy as np
import openvino as ov
import pytest
import torch

from hierpets.model.graph.convert import convert_module
from hierpets.model.graph.quantization import quantize, unquantize

SIZE = 24


class Small(torch.nn.Module):
    """Two convolutions, a pooling and a head, as a backbone and its heads are."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 16, 3)
        self.head = torch.nn.Linear(16, 4)

    def forward(self, images):
        maps = self.second(self.first(images).clamp(0, 6)).clamp(0, 6)
        return self.head(maps.mean((2, 3)))


@pytest.fixture(scope="module")
def images():
    return [np.random.default_rng(i).normal(size=(1, 3, SIZE, SIZE)).astype(np.float32) for i in range(8)]


@pytest.fixture(scope="module")
def exact():
    return convert_module(Small(), SIZE)


@pytest.fixture
def rounded(images):
    return quantize(convert_module(Small(), SIZE), images)


def answers(graph: ov.Model, images) -> np.ndarray:
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled({0: image})[0] for image in images])


def roundings(graph: ov.Model) -> list[ov.Node]:
    return [node for node in graph.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]


def test_rounded_activations_change_the_answer_a_little(exact, rounded, images):
    expected, ours = answers(exact, images), answers(rounded, images)
    assert 0 < np.abs(ours - expected).max() < 0.05 * np.abs(expected).max()


def test_the_way_back_gives_the_float_graph_again(exact, rounded, images):
    back = unquantize(rounded)
    assert not roundings(back)
    # The weights keep their eight bits, which is all that is left of the difference.
    np.testing.assert_allclose(answers(back, images), answers(exact, images), atol=0.01)


def test_what_meets_pixels_or_follows_the_pooling_stays_in_float(rounded):
    readers = {
        target.get_node().get_type_name()
        for node in roundings(rounded)
        for target in node.output(0).get_target_inputs()
    }
    assert "MatMul" not in readers
    assert all(node.input_value(0).get_node().get_type_name() != "Parameter" for node in roundings(rounded))
    assert roundings(rounded)


class Depthwise(torch.nn.Module):
    """As a block of a mobile network is: a convolution, an activation, and a convolution of each channel by itself.

    Its first channel fires for photos that are both red and green, and for no other.
    """

    def __init__(self, activation: torch.nn.Module):
        super().__init__()
        torch.manual_seed(0)
        self.activation = activation
        self.first, self.wide = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 1)
        self.own = torch.nn.Conv2d(8, 8, 3, groups=8, bias=False)
        with torch.no_grad():
            self.first.weight[:], self.first.bias[:] = 0, 0
            self.first.weight[:4, 0], self.first.weight[4:, 1] = 1, 1
            self.wide.weight[0], self.wide.bias[0] = 1, -30
            self.wide.weight[1], self.wide.bias[1] = 1, 0
            self.own.weight[0] = 1

    def forward(self, images):
        wide = self.activation(self.wide(self.activation(self.first(images))))
        return self.own(wide).mean((2, 3))


def before_depthwise(graph: ov.Model) -> ov.Node:
    (depthwise,) = [node for node in graph.get_ordered_ops() if node.get_type_name() == "GroupConvolution"]
    return depthwise.input_value(0).get_node()


def colored(*channels: int) -> np.ndarray:
    image = np.zeros((1, 3, SIZE, SIZE), np.float32)
    image[:, list(channels)] = 1
    return image


@pytest.fixture
def bounded():
    return quantize(convert_module(Depthwise(torch.nn.ReLU6()), SIZE), [colored(0), colored(1)])


def test_one_range_serves_all_channels_where_activations_are_bounded(bounded):
    low, high = (before_depthwise(bounded).input_value(i).get_node().get_data().ravel().tolist() for i in (1, 2))
    assert (low, high) == ([0], pytest.approx([6]))


def test_a_channel_that_only_other_photos_excite_is_not_cut_off(bounded):
    first = answers(bounded, [colored(0), colored(0, 1)])[:, 0]
    np.testing.assert_allclose(first, [0, 9 * 6], rtol=0.02)


@pytest.mark.parametrize("activation", [torch.nn.ReLU(), torch.nn.Hardswish(), torch.nn.SiLU()])
def test_each_channel_has_its_range_where_activations_are_unbounded(activation, images):
    graph = quantize(convert_module(Depthwise(activation), SIZE), images)
    assert before_depthwise(graph).input_value(2).get_node().get_data().size == 8
