import math

import numpy as np
import pytest
import torch
from helpers.tuning import tiny_network
from hypothesis import given
from hypothesis import strategies as st

from hierpets.config import FinetuneConfig
from hierpets.training.finetuning.optimizer import build_optimizer, freeze, freeze_statistics, rate_factor, set_rates


def rates(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_build_optimizer_raises_rates_with_depth_and_decays_no_vector():
    network = tiny_network()
    config = FinetuneConfig(learning_rate=1e-3, head_learning_rate=1e-2, layer_decay=0.01, weight_decay=0.1)
    found = rates(network, build_optimizer(network, config))
    assert found.keys() == {name for name, _ in network.named_parameters()}
    depths = [found[f"backbone.{i}.weight"][0] for i in (0, 1, 3)]
    assert depths == sorted(depths)
    assert depths[-1] == pytest.approx(1e-3)
    np.testing.assert_allclose(np.diff(np.log(depths)), np.log(100) / 3)
    assert found["species_head.weight"] == (1e-2, 0.1)
    assert found["backbone.0.weight"][1] == 0.1
    assert all(decay == 0 for name, (_, decay) in found.items() if name.endswith("bias") or ".1." in name[:11])


@pytest.mark.parametrize(("fraction", "trained"), [(0.0, []), (0.3, ["3"]), (0.6, ["1", "3"]), (1.0, ["0", "1", "3"])])
def test_freeze_leaves_only_the_last_layers(fraction, trained):
    network = tiny_network()
    freeze(network, trainable_fraction=fraction, species_head=True)
    found = rates(network, build_optimizer(network, FinetuneConfig()))
    assert sorted({name.split(".")[1] for name in found if name.startswith("backbone")}) == trained
    assert "species_head.weight" in found
    assert "leaf_head.weight" in found


def test_freeze_statistics_keeps_them_while_the_rest_trains():
    network = tiny_network()
    before = network.backbone[1].running_mean.clone()
    freeze_statistics(network)
    network(torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(network.backbone[1].running_mean, before, rtol=0, atol=0)
    assert network.backbone[5].training


def test_build_optimizer_trains_a_shared_weight_once():
    network = tiny_network()
    network.backbone.append(torch.nn.Linear(16, 16))
    network.backbone.append(torch.nn.Linear(16, 16))
    network.backbone[-1].weight = network.backbone[-2].weight
    groups = build_optimizer(network, FinetuneConfig()).param_groups
    parameters = [id(p) for group in groups for p in group["params"]]
    assert len(parameters) == len(set(parameters))


@given(warmup=st.integers(0, 20), rest=st.integers(1, 200))
def test_rate_factor_rises_then_falls_to_zero(warmup, rest):
    total = warmup + rest
    factors = [rate_factor(step, warmup=warmup, total=total) for step in range(total + 1)]
    assert all(0 < f <= 1 for f in factors[:-1])
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[warmup] == 1.0
    assert math.isclose(factors[total], 0.0, abs_tol=1e-12)


def test_set_rates_scales_every_group():
    network = tiny_network()
    optimizer = build_optimizer(network, FinetuneConfig())
    full = rates(network, optimizer)
    set_rates(optimizer, 0.25)
    assert {name: lr for name, (lr, _) in rates(network, optimizer).items()} == {
        name: lr * 0.25 for name, (lr, _) in full.items()
    }
