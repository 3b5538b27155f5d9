"""Training on a backbone whose weights were tuned before."""

import pytest
import torch
from helpers.fakes import tiny_registry
from safetensors.torch import save_file

from hierpets.errors import ConfigError
from hierpets.model.backbone import build_backbone
from hierpets.model.reader import read_networks
from hierpets.model.rounding import round_weights
from hierpets.registry.loading import load_registry
from hierpets.training.recipe import train


@pytest.fixture
def registry(tmp_path):
    tiny_registry(tmp_path)
    return tmp_path / "registry.yaml"


def write_weights(folder, registry, *names):
    """Weights of the tiny backbone, each file somewhat different, in float16."""
    folder.mkdir(exist_ok=True)
    module = build_backbone(load_registry(registry), "tiny", {})[0].module
    for number, name in enumerate(names):
        state = {key: (value.float() * (1.1 + 0.1 * number)).half() for key, value in module.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors")
    return folder


def trained(registry, out, weights, **settings):
    return train(
        recipe="heads", backbone="tiny", registry=registry, out=out, backbone_weights=weights, folds=3, **settings
    )


def test_train_serves_the_weights_that_were_tuned_on_all(tmp_path, registry):
    weights = write_weights(tmp_path / "weights", registry, "all", "fold0", "fold1", "fold2")
    result = trained(registry, tmp_path / "run", weights)
    manifest = result.predictor(recommend=False).manifest
    served = read_networks(result.bundle, manifest, load_registry(registry))[-1].backbone
    expected = build_backbone(load_registry(registry), "tiny", {}, weights / "all.safetensors")[0].module
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(served.state_dict()[name], tensor)
    assert "tuned" in result.summary
    assert "cross_validation" in result.metrics


def test_train_takes_weights_that_were_tuned_on_other_photos(tmp_path, registry):
    result = trained(registry, tmp_path / "run", write_weights(tmp_path / "weights", registry, "all"))
    assert "cross_validation" in result.metrics


def test_train_refuses_weights_of_another_number_of_folds(tmp_path, registry):
    weights = write_weights(tmp_path / "weights", registry, "all", "fold0", "fold1")
    with pytest.raises(ConfigError, match="expected weights for 3 folds or none, got 2"):
        trained(registry, tmp_path / "run", weights)


def test_train_refuses_weights_of_another_backbone(tmp_path, registry):
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file({"other": torch.zeros(3)}, folder / "all.safetensors")
    with pytest.raises(ConfigError, match=r"all\.safetensors: not the weights of this backbone"):
        trained(registry, tmp_path / "run", folder)
    with pytest.raises(ConfigError, match=r"all\.safetensors: not the weights of this backbone"):
        trained(registry, tmp_path / "run", tmp_path / "nowhere")


def test_recipe_auto_refuses_tuned_weights(tmp_path, registry):
    with pytest.raises(ConfigError, match="backbone_weights: recipe auto compares backbones as they are"):
        train(recipe="auto", backbone="tiny", registry=registry, out=tmp_path / "run", backbone_weights=tmp_path)


def test_build_backbone_rounds_what_it_loads(tmp_path, registry):
    weights = write_weights(tmp_path / "weights", registry, "all")
    backbone, _ = build_backbone(load_registry(registry), "tiny", {}, weights / "all.safetensors")
    before = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    round_weights(backbone.module)
    for name, tensor in backbone.module.state_dict().items():
        torch.testing.assert_close(tensor, before[name])
