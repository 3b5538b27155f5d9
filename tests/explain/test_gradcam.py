"""Grad-CAM against the class activation map that it generalizes, on both layouts, and refused where there is no map."""

import numpy as np
import pytest
import torch

from hierpets.errors import PluginError
from hierpets.explain.gradcam import Target, gradcam
from hierpets.explain.overlay import overlay, spread
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Taxonomy

TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug", "boxer"), "rabbit": ()})


class Pooled(torch.nn.Module):
    """A convolution and a global mean: the network for which Grad-CAM is CAM."""

    def __init__(self, *, channels_last: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 6, 4, stride=4)
        self.last = torch.nn.Identity()
        self.channels_last = channels_last

    def forward(self, images):
        found = torch.relu(self.conv(images))
        if self.channels_last:
            return self.last(found.permute(0, 2, 3, 1)).mean(dim=(1, 2))
        return self.last(found).mean(dim=(2, 3))


def network_of(backbone, dim=6):
    torch.manual_seed(1)
    return HierarchicalNetwork(backbone, dim, TREE).eval()


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)


def class_activation_map(network, image, weight):
    """relu(sum of channels by the head's weights), scaled to a peak of one (Zhou et al. 2016)."""
    with torch.no_grad():
        found = torch.relu(network.backbone.conv(torch.from_numpy(image)[None]))[0].numpy()
    cam = np.maximum(np.einsum("c,chw->hw", weight, found), 0)
    return cam / cam.max()


@pytest.mark.parametrize("channels_last", [False, True])
def test_gradcam_is_the_class_activation_map_of_a_pooled_network(image, channels_last):
    network = network_of(Pooled(channels_last=channels_last))
    species = network.species_head.weight.detach().numpy()
    breeds = network.leaf_head.weight.detach().numpy()[network.taxonomy.slices[1]]
    dog, beagle = gradcam(network, image, Target("species", 1), Target("leaf", 2))
    assert dog.shape == (8, 8)
    expected_dog = class_activation_map(network, image, species[1] - species[[0, 2]].mean(axis=0))
    expected_beagle = class_activation_map(network, image, breeds[0] - breeds[1:].mean(axis=0))
    np.testing.assert_allclose(dog, expected_dog, atol=1e-5)
    np.testing.assert_allclose(beagle, expected_beagle, atol=1e-5)


def test_gradcam_explains_a_species_without_breeds_as_a_species(image):
    leaf, species = gradcam(network_of(Pooled()), image, Target("leaf", 5), Target("species", 2))
    np.testing.assert_array_equal(leaf, species)


def test_gradcam_leaves_nothing_behind_in_the_network(image):
    network = network_of(Pooled())
    before = gradcam(network, image, Target("species", 0))
    assert all(not module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    np.testing.assert_array_equal(before, gradcam(network, image, Target("species", 0)))


def test_gradcam_explains_a_network_with_in_place_steps(image):
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 4, stride=4),
        torch.nn.ReLU(inplace=True),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    assert gradcam(network_of(backbone), image, Target("species", 0)).shape == (1, 8, 8)


class SideBySide(torch.nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, images):
        return torch.cat([part(images) for part in self.parts], dim=1)


def test_gradcam_adds_up_networks_side_by_side(image):
    left, right = Pooled(), Pooled()
    torch.manual_seed(3)
    torch.nn.init.normal_(right.conv.weight)
    network = network_of(SideBySide(left, right), 12)
    (both,) = gradcam(network, image, Target("species", 1))
    weight = network.species_head.weight.detach().numpy()
    weight = weight[1] - weight[[0, 2]].mean(axis=0)
    with torch.no_grad():
        maps = [torch.relu(part.conv(torch.from_numpy(image)[None]))[0].numpy() for part in (left, right)]
    expected = np.maximum(sum(np.einsum("c,chw->hw", w, m) for w, m in zip(np.split(weight, 2), maps, strict=True)), 0)
    np.testing.assert_allclose(both, expected / expected.max(), atol=1e-5)


def test_gradcam_does_not_take_a_channel_attention_block_for_the_end(image):
    class Squeeze(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.gate = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Linear(6, 6)

        def forward(self, found):
            return found * torch.sigmoid(self.gate(self.pool(found).flatten(1)))[..., None, None]

    torch.manual_seed(0)
    early, late = torch.nn.Conv2d(3, 6, 2, stride=2), torch.nn.Conv2d(6, 6, 4, stride=4)
    end = (torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    backbone = torch.nn.Sequential(early, Squeeze(), late, torch.nn.ReLU(), *end)
    assert gradcam(network_of(backbone), image, Target("species", 0)).shape == (1, 4, 4)


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_gradcam_explains_networks_of_timm(model, image):
    import timm

    backbone = timm.create_model(model, num_classes=0)
    found = gradcam(network_of(backbone, backbone.num_features), np.tile(image, (1, 4, 4)), Target("species", 0))
    assert found.shape[1] == found.shape[2] > 1
    assert found.min() >= 0
    assert found.max() <= 1


def test_gradcam_refuses_a_network_without_a_map(image):
    import timm

    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 6))
    with pytest.raises(PluginError, match="gives none"):
        gradcam(network_of(flat), image, Target("species", 0))
    tokens = timm.create_model("test_vit", num_classes=0)
    with pytest.raises(PluginError, match="tokens"):
        gradcam(network_of(tokens, tokens.num_features), np.tile(image, (1, 5, 5)), Target("species", 0))


def test_spread_puts_the_map_where_the_network_looks():
    cam = np.zeros((4, 4), np.float32)
    cam[0, 0] = 1.0
    whole = spread(cam, Preprocess(size=224, crop=0.5), 100, 300)
    assert np.isfinite(whole[25:75, 125:175]).all()
    assert np.isnan(whole).sum() == 100 * 300 - 50 * 50
    assert np.nanargmax(whole) // 300 < 50
    squashed = spread(cam, Preprocess(size=224, resize="squash"), 100, 300)
    assert np.isfinite(squashed).all()


def test_overlay_colors_the_evidence_and_leaves_the_rest():
    photo = np.full((60, 80, 3), 90, np.uint8)
    cam = np.zeros((60, 80), np.float32)
    cam[:30] = 1.0
    cam[:, 70:] = np.nan
    shown = overlay(photo, cam)
    assert shown.dtype == np.uint8
    assert (shown[40, :70] == 90).all()
    assert shown[10, 10, 0] > 150
    assert (shown[:, 70:] < 90).all()
