"""New heads on an old graph."""

import numpy as np
import openvino as ov
import pytest
import torch
from helpers.fakes import tiny_registry

from hierpets.errors import BundleError
from hierpets.model.backbone import build_backbone
from hierpets.model.graph.convert import convert_module, write_graph
from hierpets.model.graph.heads import replace_heads
from hierpets.model.graph.pairs import are_paired
from hierpets.model.network import HierarchicalNetwork
from hierpets.taxonomy import Taxonomy

SMALL, LARGE = (
    Taxonomy(tree={"cat": ("a", "b"), "dog": ()}),
    Taxonomy(tree={"cat": ("a", "b", "c"), "dog": (), "x": ()}),
)


def run(graph: ov.Model, image: np.ndarray) -> list[np.ndarray]:
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(value) for value in compiled({0: image}).values()]


def roundings(graph: ov.Model) -> int:
    return [node.get_type_name() for node in graph.get_ordered_ops()].count("FakeQuantize")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return build_backbone(tiny_registry(tmp_path_factory.mktemp("registry")), "tiny", {})[0]


def network(backbone, taxonomy, *, body=True) -> HierarchicalNetwork:
    torch.manual_seed(len(taxonomy.leaves))
    return HierarchicalNetwork(backbone.module if body else torch.nn.Identity(), backbone.feature_dim, taxonomy).eval()


@pytest.mark.parametrize("quantized", [False, True])
def test_new_heads_take_the_features_of_the_old_graph(backbone, tmp_path, quantized):
    images = [np.random.default_rng(i).normal(size=(1, 3, 32, 32)).astype(np.float32) for i in range(4)]
    path = tmp_path / "openvino" / "model.xml"
    write_graph(path, network(backbone, SMALL), backbone.preprocess, calibration=images if quantized else ())
    before = ov.Core().read_model(path)
    photo = np.random.default_rng(9).integers(0, 256, size=(1, 32, 32, 3), dtype=np.uint8)
    old = run(before, photo)
    heads = network(backbone, LARGE, body=False)
    grown = replace_heads(ov.Core().read_model(path), heads)
    features, species, leaf, scores = run(grown, photo)
    np.testing.assert_array_equal(features, old[0])
    expected = heads.forward_head(torch.from_numpy(features))
    for found, wanted in zip((species, leaf, scores), expected[1:], strict=True):
        np.testing.assert_allclose(found, wanted.detach().numpy(), atol=1e-4)
    assert (species.shape, leaf.shape) == ((1, 3), (1, 5))
    kinds = [
        [node.get_type_name() for node in graph.get_ordered_ops()].count("FakeQuantize") for graph in (before, grown)
    ]
    assert are_paired(before)
    assert are_paired(grown)
    assert kinds[0] == kinds[1]
    assert bool(kinds[1]) == quantized


def test_a_graph_of_something_else_is_refused(backbone):
    with pytest.raises(BundleError, match="without an output 'features'"):
        replace_heads(convert_module(torch.nn.Conv2d(3, 4, 3), 32), network(backbone, SMALL, body=False))
