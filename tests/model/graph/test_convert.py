"""A network as a graph: the same bytes each time, whatever the process converted before."""

from __future__ import annotations

import torch
from helpers.fakes import TAXONOMY

from hierpets.model.graph.convert import convert_module, write_graph
from hierpets.model.network import HierarchicalNetwork


def test_write_graph_gives_the_same_bytes_after_other_conversions(tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, stride=4), torch.nn.ReLU(), torch.nn.Flatten())
    network = HierarchicalNetwork(module, 4 * 7 * 7, TAXONOMY).eval()
    for name in ("first", "second"):
        write_graph(tmp_path / name / "model.xml", network, 32)
        convert_module(module, 32)
    for file in ("model.xml", "model.bin"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
