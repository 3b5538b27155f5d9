import torch
from helpers.tuning import tiny_network

from hierpets.training.finetuning.averaging import choose_alpha, decay_after, interpolate, moving_average
from hierpets.training.score import Score


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


def test_interpolate_is_exact_at_both_ends():
    start, end = ({"w": torch.randn(50) * 10**scale, "n": torch.tensor(scale)} for scale in (3, -3))
    torch.testing.assert_close(interpolate(start, end, 0.0)["w"], start["w"], rtol=0, atol=0)
    torch.testing.assert_close(interpolate(start, end, 1.0)["w"], end["w"], rtol=0, atol=0)
    torch.testing.assert_close(interpolate(start, end, 0.25)["w"], 0.75 * start["w"] + 0.25 * end["w"])


def test_choose_alpha_takes_the_best_and_the_nearest_of_equals():
    accuracy = {0.0: 0.8, 0.5: 0.9, 1.0: 0.85}
    choice = choose_alpha([0.5], lambda alpha: Score(accuracy[alpha], 1.0, 0.3))
    assert choice.alpha == 0.5
    assert choose_alpha([0.5], lambda alpha: Score(0.9, 1.0, 0.3)).alpha == 0.0
    assert choose_alpha([0.5], lambda alpha: Score(0.9, 1.0, 1 - alpha)).alpha == 1.0
    assert choose_alpha([0.5], lambda alpha: Score(None, accuracy[alpha], 0.3)).alpha == 0.5
