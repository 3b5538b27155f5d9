import math

import numpy as np
import pytest
import torch
from helpers.tuning import tiny_network
from hypothesis import given
from hypothesis import strategies as st

from hierpets.config import FinetuneConfig
from hierpets.training.finetuning.interpolation import choose_share, interpolate
from hierpets.training.finetuning.moving_average import decay_after, moving_average
from hierpets.training.finetuning.optimizer import build_optimizer, freeze, freeze_statistics, set_rates
from hierpets.training.finetuning.schedule import rate_factor
from hierpets.training.score import Score


def rates(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_rates_rise_with_depth_and_vectors_do_not_decay():
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
def test_only_the_last_layers_are_trained(fraction, trained):
    network = tiny_network()
    freeze(network, trainable_fraction=fraction, species_head=True)
    found = rates(network, build_optimizer(network, FinetuneConfig()))
    assert sorted({name.split(".")[1] for name in found if name.startswith("backbone")}) == trained
    assert "species_head.weight" in found
    assert "breed_heads.0.weight" in found


def test_batch_statistics_stay_while_the_rest_trains():
    network = tiny_network()
    before = network.backbone[1].running_mean.clone()
    freeze_statistics(network)
    network(torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(network.backbone[1].running_mean, before, rtol=0, atol=0)
    assert network.backbone[5].training


def test_a_weight_that_two_modules_share_is_trained_once():
    network = tiny_network()
    network.backbone.append(torch.nn.Linear(16, 16))
    network.backbone.append(torch.nn.Linear(16, 16))
    network.backbone[-1].weight = network.backbone[-2].weight
    groups = build_optimizer(network, FinetuneConfig()).param_groups
    parameters = [id(p) for group in groups for p in group["params"]]
    assert len(parameters) == len(set(parameters))


@given(warmup=st.integers(0, 20), rest=st.integers(1, 200))
def test_rate_climbs_then_falls_to_nought(warmup, rest):
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


def test_moving_average_follows_the_recurrence():
    network = tiny_network()
    average = moving_average(network, 0.4)
    expected = network.species_head.weight.detach().clone()
    for update in range(1, 6):
        with torch.no_grad():
            network.species_head.weight.add_(torch.randn_like(network.species_head.weight))
        average.update_parameters(network)
        decay = decay_after(update, 0.4)
        expected = decay * expected + (1 - decay) * network.species_head.weight.detach()
    torch.testing.assert_close(average.module.species_head.weight, expected)
    assert decay_after(10_000, 0.99) == 0.99


def test_interpolation_is_exact_at_both_ends():
    start, end = ({"w": torch.randn(50) * 10**scale, "n": torch.tensor(scale)} for scale in (3, -3))
    torch.testing.assert_close(interpolate(start, end, 0.0)["w"], start["w"], rtol=0, atol=0)
    torch.testing.assert_close(interpolate(start, end, 1.0)["w"], end["w"], rtol=0, atol=0)
    torch.testing.assert_close(interpolate(start, end, 0.25)["w"], 0.75 * start["w"] + 0.25 * end["w"])


def test_best_share_wins_and_a_tie_stays_near_the_start():
    accuracy = {0.0: 0.8, 0.5: 0.9, 1.0: 0.85}
    choice = choose_share([0.5], lambda share: Score(accuracy[share], 1.0, 0.3))
    assert choice.share == 0.5
    assert choose_share([0.5], lambda share: Score(0.9, 1.0, 0.3)).share == 0.0
    assert choose_share([0.5], lambda share: Score(0.9, 1.0, 1 - share)).share == 1.0
    assert choose_share([0.5], lambda share: Score(None, accuracy[share], 0.3)).share == 0.5
