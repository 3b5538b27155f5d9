import numpy as np
import openvino as ov
import torch
from safetensors.torch import load, save

from hierpets.inference.engines.openvino import compile_model
from hierpets.model.graph.convert import convert_module
from hierpets.model.graph.packing import pack_graph
from hierpets.model.rounding import pack, round_weights, unpack


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 5, stride=2),
        torch.nn.BatchNorm2d(64),
        torch.nn.ReLU(),
        torch.nn.Conv2d(64, 64, 3, groups=64),
        torch.nn.Conv2d(64, 48, 1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(48, 100),
    ).eval()


def test_round_weights_moves_none_by_more_than_half_a_step_and_is_idempotent():
    net = network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    round_weights(net)
    once = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for name, tensor in once.items():
        if tensor.ndim < 2:
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
        else:
            step = before[name].abs().flatten(1).amax(dim=1) / 127
            worst = (tensor - before[name]).abs().flatten(1).amax(dim=1)
            assert (worst <= step * 0.5001).all(), name
    round_weights(net)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, once[name], rtol=1e-6, atol=0)


def test_round_weights_leaves_tables_of_indices_and_what_no_bundle_keeps_alone():
    net = network()
    net.register_buffer("index", torch.arange(4000).reshape(2, 2000))
    net.register_buffer("anew", torch.linspace(0, 1, 999).reshape(3, 333), persistent=False)
    index, anew = net.index.clone(), net.anew.clone()
    round_weights(net)
    assert torch.equal(net.index, index) and torch.equal(net.anew, anew)


def test_pack_loses_nothing_of_what_is_rounded_and_leaves_the_rest_alone():
    net = network()
    round_weights(net[:-1])  # a head, the last layer, stays in full precision
    state = net.state_dict()
    packed = pack(state)
    assert packed["0.weight"].dtype == torch.int8
    assert packed["7.weight"].dtype == torch.float32
    back = unpack(packed)
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(back[name], tensor, rtol=1e-6, atol=0)


def test_pack_gives_layers_that_share_their_weights_a_copy_each():
    first = torch.nn.Linear(3, 3)
    net = torch.nn.Sequential(first, torch.nn.ReLU(), first)
    back = load(save(pack(net.state_dict())))
    torch.testing.assert_close(back["0.weight"], back["2.weight"], rtol=0, atol=0)


def test_pack_graph_computes_what_the_rounded_network_computes(tmp_path):
    net = network()
    net[1].running_var.uniform_(0.5, 2.0)  # folded into the filter before it
    net[1].weight.data.uniform_(-2.0, 2.0)
    round_weights(net)
    graph = convert_module(net, 32)
    pack_graph(graph)
    ov.save_model(graph, tmp_path / "model.xml", compress_to_fp16=False)
    values = sum(p.numel() for p in net.parameters() if p.numel() >= 2048)
    assert (tmp_path / "model.bin").stat().st_size < 1.5 * values + 20_000
    images = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    compiled = compile_model(tmp_path / "model.xml")
    expected = net(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(compiled({0: images})[0], expected, atol=1e-4)
