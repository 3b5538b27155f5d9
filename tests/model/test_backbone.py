import pytest
import torch
from torch import nn

from hierpets.model.backbone import fingerprint
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
