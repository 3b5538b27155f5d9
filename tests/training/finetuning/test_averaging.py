import numpy as np
import pytest
import torch
from helpers.tuning import tiny_network

from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.finetuning.averaging import choose_alpha, decay_after, interpolate, moving_average
from hierpets.training.score import LabeledLogits


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


def told(*wrong: int, certainty: float = 2.0, groups: np.ndarray | None = None) -> LabeledLogits:
    """Forty photos, one in two a cat, all right but those."""
    species = np.arange(40) % 2
    labels = Labels(species, np.full(40, -1), ("cat", "dog"), (), groups)
    logits = certainty * np.eye(2)[np.where(np.isin(np.arange(40), wrong), 1 - species, species)]
    return LabeledLogits(logits, np.zeros((40, 2)), labels, Taxonomy(tree={"cat": (), "dog": ()}), "conditional")


def test_choose_alpha_takes_the_best_and_the_nearest_of_equals():
    outputs = {0.0: told(0, 1, 2, 3), 0.5: told(0), 1.0: told(0, 1)}
    choice = choose_alpha([0.5], outputs.__getitem__)
    assert (choice.alpha, choice.score) == (0.5, told(0).score())
    assert choice.lead.total == pytest.approx(3 / 40)
    assert choose_alpha([0.5], lambda alpha: told(0)).alpha == 0.0
    assert choose_alpha([0.5], lambda alpha: told(0, certainty=1 + alpha)).alpha == 1.0


@pytest.mark.parametrize(
    ("start", "end", "clear"),
    [((0, 1, 2, 3), (), True), ((0,), (), False), ((0, 1, 2), (3,), False), ((), (), False)],
    ids=["four photos", "one photo", "three won and one lost", "more certain alone"],
)
def test_choose_alpha_tells_whether_the_best_is_clearly_better_photo_by_photo(start, end, clear):
    outputs = {0.0: told(*start), 1.0: told(*end, certainty=4.0)}
    assert choose_alpha([], outputs.__getitem__).lead.is_clear is clear


def test_choose_alpha_counts_the_photos_of_an_animal_as_one():
    animals = np.maximum(np.arange(40) - 5, 0)
    outputs = {0.0: told(0, 1, 2, 3, groups=animals), 1.0: told(groups=animals)}
    assert not choose_alpha([], outputs.__getitem__).lead.is_clear
