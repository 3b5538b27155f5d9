"""A network as a graph: the same bytes each time, whatever the process converted before."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
import torch
from helpers.fakes import TAXONOMY

from hierpets.data.transforms import normalize
from hierpets.errors import PluginError
from hierpets.model.graph.convert import convert_module, write_graph
from hierpets.model.graph.pairs import are_paired
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Preprocess


def test_write_graph_gives_the_same_bytes_after_other_conversions(tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, stride=4), torch.nn.ReLU(), torch.nn.Flatten())
    network = HierarchicalNetwork(module, 4 * 7 * 7, TAXONOMY).eval()
    for name in ("first", "second"):
        write_graph(tmp_path / name / "model.xml", network, Preprocess(size=32))
        convert_module(module, 32)
    for file in ("model.xml", "model.bin"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_write_graph_marks_that_its_heads_take_two_rows_and_leave_one(tmp_path):
    network = HierarchicalNetwork(torch.nn.Flatten(), 3 * 16 * 16, TAXONOMY).eval()
    write_graph(tmp_path / "bundle" / "model.xml", network, Preprocess(size=16))
    graph = ov.Core().read_model(tmp_path / "bundle" / "model.xml")
    assert are_paired(graph)
    assert not are_paired(convert_module(network, 16))
    assert [output.shape[0] for output in graph.outputs] == [1, 1, 1, 1]
    photo = np.random.default_rng(0).integers(0, 256, size=(16, 16, 3), dtype=np.uint8)
    found = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({0: photo[None]})
    planes = torch.from_numpy(normalize(Preprocess(size=16), photo))[None]
    for ours, wanted in zip(found.values(), network(planes), strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), wanted.detach(), atol=1e-4, rtol=1e-4)


class Branching(torch.nn.Module):
    def forward(self, inputs):
        return inputs.mean((2, 3)) if inputs.mean() > 0 else -inputs.mean((2, 3))


def test_convert_module_refuses_a_network_that_takes_another_path_for_other_photos():
    with pytest.raises(PluginError, match=r"^expected a network that takes the same path for every photo"):
        convert_module(Branching(), 16)


def test_convert_module_takes_a_network_that_asks_for_its_shapes():
    class Asking(torch.nn.Module):
        def forward(self, inputs):
            return inputs.mean((2, 3)) if inputs.shape[2] > torch.tensor(8) else inputs.flatten(1)

    assert convert_module(Asking(), 16).outputs[0].get_partial_shape()[1].get_length() == 3
