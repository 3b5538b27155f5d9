"""A graph that answers each place of its last map."""

import numpy as np
import pytest
import torch

from hierpets.data.transforms import normalize
from hierpets.errors import BundleError, ConfigError
from hierpets.inference.engines.places import PlaceEngine
from hierpets.model.graph.convert import write_graph
from hierpets.model.graph.places import answer_places
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Taxonomy

PREPROCESS = Preprocess(size=32)
TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("pug",)})


class Part(torch.nn.Module):
    """A gate over the channels, which pools as well, then a map whose mean is the features."""

    def __init__(self, width: int):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.gate = torch.nn.Conv2d(8, 8, 1)
        self.last = torch.nn.Conv2d(8, width, 3, stride=2, padding=1)

    def map(self, images):
        stem = self.stem(images).relu()
        return self.last(stem * self.gate(stem.mean(dim=(2, 3), keepdim=True)).sigmoid()).relu()

    def forward(self, images):
        return self.map(images).mean(dim=(2, 3))


class Pair(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = torch.nn.ModuleList([Part(6), Part(4)])

    def map(self, images):
        return torch.cat([part.map(images) for part in self.parts], dim=1)

    def forward(self, images):
        return torch.cat([part(images) for part in self.parts], dim=1)


class Quarters(torch.nn.Module):
    """Features that know where they come from."""

    def __init__(self):
        super().__init__()
        self.part = Part(3)

    def forward(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(self.part.map(images), 2).flatten(1)


def planes(photo):
    """The input of a network, of one photo."""
    return torch.from_numpy(normalize(PREPROCESS, photo))[None]


def written(folder, backbone, width):
    torch.manual_seed(0)
    network = HierarchicalNetwork(backbone, width, TREE).eval()
    write_graph(folder / "openvino" / "model.xml", network, PREPROCESS)
    return network, folder / "openvino" / "model.xml"


@pytest.mark.parametrize(("make", "width"), [(lambda: Part(6), 6), (Pair, 10)])
@pytest.mark.parametrize("size", [32, 48])
def test_each_place_has_the_answer_for_its_own_features(tmp_path, make, width, size):
    torch.manual_seed(1)
    network, graph = written(tmp_path, make(), width)
    photo = np.random.default_rng(0).integers(0, 256, size=(size, size, 3), dtype=np.uint8)
    output, side = PlaceEngine(graph, "f32", size)(photo)
    with torch.inference_mode():
        at_places = network.backbone.map(planes(photo))[0].flatten(1).T
        expected = network.forward_head(at_places)
    assert side == size // 8
    for found, wanted in zip(output, expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=2e-4)


def test_the_mean_of_the_places_is_the_photo(tmp_path):
    network, graph = written(tmp_path, Part(6), 6)
    photo = np.random.default_rng(0).integers(0, 256, size=(32, 32, 3), dtype=np.uint8)
    output, _ = PlaceEngine(graph, "f32", 32)(photo)
    with torch.inference_mode():
        whole = network(planes(photo))
    np.testing.assert_allclose(output.features.mean(axis=0), whole.features[0], atol=2e-4)
    np.testing.assert_allclose(output.species.mean(axis=0), whole.species[0], atol=2e-4)


def test_features_that_are_no_mean_over_places_are_refused(tmp_path):
    _, graph = written(tmp_path, Quarters(), 12)
    with pytest.raises(ConfigError, match=r"not the mean over the places of a map, .*; give it boxes"):
        answer_places(ov.Core().read_model(graph), 32)


class OfOneSize(torch.nn.Module):
    """Adds what depends on the place, as transformers do."""

    def __init__(self):
        super().__init__()
        self.part = Part(3)
        self.register_buffer("where", torch.arange(16.0).view(4, 4))

    def forward(self, images):
        return (self.part.map(images) + self.where).mean(dim=(2, 3))


def test_a_graph_of_one_size_is_refused(tmp_path):
    _, graph = written(tmp_path, OfOneSize(), 3)
    with pytest.raises(ConfigError, match=r"not the mean over the places of a map, .*; give it boxes"):
        answer_places(ov.Core().read_model(graph), 48)


def test_a_bundle_without_a_graph_says_so(tmp_path):
    with pytest.raises(BundleError, match="no OpenVINO graph"):
        PlaceEngine(tmp_path / "openvino" / "model.xml", "f32", 32)(np.zeros((32, 32, 3), np.uint8))
