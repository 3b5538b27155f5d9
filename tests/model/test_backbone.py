import pytest
import torch
from torch import nn

from hierpets.model.backbone import computes_as_sampled, fingerprint, sample_features
from hierpets.plugin import Backbone, Preprocess

PREPROCESS = Preprocess(size=32, mean=(0, 0, 0), std=(1, 1, 1))


def backbone(pool: nn.Module, activation: nn.Module, *, seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), activation, pool, nn.Flatten())
    return Backbone(module, 8, PREPROCESS)


def test_equal_backbones_have_the_same_fingerprint():
    first, second = (backbone(nn.AdaptiveAvgPool2d(1), nn.ReLU()) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    second.module.train()
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize(
    "other",
    [
        backbone(nn.AdaptiveMaxPool2d(1), nn.ReLU()),
        backbone(nn.AdaptiveAvgPool2d(1), nn.GELU()),
        backbone(nn.AdaptiveAvgPool2d(1), nn.LeakyReLU(0.1)),
        backbone(nn.AdaptiveAvgPool2d(1), nn.ReLU(), seed=1),
    ],
    ids=["pooling", "activation", "constant", "weights"],
)
def test_what_changes_features_changes_the_fingerprint(other):
    """Options of a plugin may change what is computed and no weight."""
    assert fingerprint(backbone(nn.AdaptiveAvgPool2d(1), nn.ReLU())) != fingerprint(other)


def test_a_constant_that_is_no_weight_changes_the_fingerprint():
    assert fingerprint(backbone(nn.AdaptiveAvgPool2d(1), nn.LeakyReLU(0.1))) != fingerprint(
        backbone(nn.AdaptiveAvgPool2d(1), nn.LeakyReLU(0.2))
    )


class Scaled(nn.Module):
    """Multiplies photos and features by tensors that ``state_dict()`` leaves out."""

    def __init__(self, buffer: float, attribute: float):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.register_buffer("gain", torch.full((3, 1, 1), buffer), persistent=False)
        self.projection = attribute * torch.eye(8)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.features(photos * self.gain) @ self.projection


def test_tensors_outside_of_the_state_change_the_fingerprint():
    built = [Backbone(Scaled(*values), 8, PREPROCESS) for values in ((1, 1), (5, 1), (1, 7))]
    assert len({fingerprint(one) for one in built}) == 3


def test_the_fingerprint_does_not_depend_on_the_number_of_threads():
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.add(fingerprint(Backbone(Scaled(5, 7), 8, PREPROCESS)))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


def test_sampled_features_tell_another_computation_and_not_another_machine():
    module = Scaled(1, 1)
    sampled = sample_features(module, 32)
    assert len(sampled) == 8
    assert computes_as_sampled(module, 32, tuple(1.0001 * value for value in sampled))
    assert not computes_as_sampled(Scaled(1, 1.1), 32, sampled)
    assert sample_features(Scaled(1, float("nan")), 32) == ()
