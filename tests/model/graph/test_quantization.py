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
