"""Training on a GPU: with a real one where there is one, else with a faked move."""

import time

import numpy as np
import pytest
import torch
from helpers.fakes import TAXONOMY, tiny_registry

from hierpets.bundle.manifest import Manifest
from hierpets.inference.loading import load
from hierpets.model.backbone import build_backbone, fingerprint
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.writer import write_bundle
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.finetuning.time_estimate import finetune_minutes
from hierpets.training.recipe import train

PHOTOS = [f"demo:cat/siamese/{i}" for i in range(3)]


def _check_device(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    if not getattr(inputs[0], "moved", False):
        raise RuntimeError("expected all tensors to be on the same device")


@pytest.fixture
def fake_gpu(monkeypatch):
    """A CUDA device that computes on the CPU: what is moved there is marked, and takes marked tensors alone."""
    move_tensor, move_module = torch.Tensor.to, torch.nn.Module.to

    def tensor_to(self, *args, **kwargs):
        if not args or not str(args[0]).startswith("cuda"):
            return move_tensor(self, *args, **kwargs)
        moved = self.clone()
        moved.moved = True
        return moved

    def module_to(self, *args, **kwargs):
        if not args or not str(args[0]).startswith("cuda"):
            return move_module(self, *args, **kwargs)
        self.register_forward_pre_hook(_check_device)
        return self

    monkeypatch.setattr(torch.Tensor, "to", tensor_to)
    monkeypatch.setattr(torch.nn.Module, "to", module_to)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("hierpets.inference.engines.base._cuda_failure", lambda: None)


@pytest.fixture
def backbone(tmp_path):
    return build_backbone(tiny_registry(tmp_path), "tiny", {})[0]


def test_feature_extractor_leaves_the_module_on_its_device(backbone, fake_gpu):
    expected = FeatureExtractor(backbone, "cpu").features(PHOTOS)
    np.testing.assert_allclose(FeatureExtractor(backbone, "cuda").features(PHOTOS, "flip").shape, expected.shape)
    assert not backbone.module._forward_pre_hooks


def test_finetune_minutes_does_not_count_a_pass_that_is_held_up(backbone):
    calls = iter(range(100))
    backbone.module.register_forward_hook(lambda *_: time.sleep(0.3) if next(calls) == 1 else None)
    assert finetune_minutes(backbone, photos=1000, epochs=1) < 0.3 / 8 * 1000 / 60


def test_finetune_minutes_leaves_the_module_on_its_device(backbone, fake_gpu):
    assert finetune_minutes(backbone, photos=100, epochs=1, device="cuda") > 0
    assert not backbone.module._forward_pre_hooks


def test_train_on_a_gpu_writes_a_bundle(tmp_path, fake_gpu):
    tiny_registry(tmp_path)
    registry = tmp_path / "registry.yaml"
    result = train(recipe="heads", backbone="tiny", registry=registry, out=tmp_path / "run", device="cuda")
    assert result.predictor(device="cpu", recommend=False).predict(PHOTOS[0]).decision is not None


class ElsewhereParameter(torch.nn.Parameter):
    """Says that it is on a GPU until it is brought to the CPU."""

    @property
    def device(self) -> torch.device:
        return torch.device("cuda")

    def cpu(self) -> torch.Tensor:
        return torch.Tensor(self.detach().numpy())


class Elsewhere(torch.nn.Module):
    """A backbone that runs only after it is moved to the CPU."""

    def __init__(self, module: torch.nn.Module):
        super().__init__()
        self.module, self.scale, self.moved = module, ElsewhereParameter(torch.ones(1)), False

    def _apply(self, fn, recurse=True):
        self.moved = True
        return super()._apply(fn, recurse)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not self.moved:
            raise RuntimeError("expected all tensors to be on the same device")
        return self.module(images)


def test_write_bundle_takes_a_network_from_another_device_and_leaves_it_there(tmp_path):
    backbone, spec = build_backbone(tiny_registry(tmp_path), "tiny", {})
    network = HierarchicalNetwork(Elsewhere(backbone.module), backbone.feature_dim, TAXONOMY).eval()
    manifest = Manifest(taxonomy=TAXONOMY, preprocess=backbone.preprocess, backbone=spec)
    write_bundle(tmp_path / "bundle", network, manifest)
    assert not network.backbone.moved
    assert load(tmp_path / "bundle", engine="openvino", recommend=False).predict(PHOTOS[0]).decision is not None


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["heads", "finetune"])
def test_train_on_cuda_writes_a_bundle_that_predicts_on_the_cpu(tmp_path, recipe):
    tiny_registry(tmp_path)
    words = {"recipe": recipe, "backbone": "tiny", "registry": tmp_path / "registry.yaml", "finetune.epochs": 1}
    result = train(out=tmp_path / "run", device="cuda", **words)
    assert result.predictor(device="cpu", recommend=False).predict(PHOTOS[0]).decision is not None
    again = train(out=tmp_path / "run", resume=True)
    assert again.summary == result.summary


@pytest.mark.gpu
def test_fingerprint_does_not_depend_on_the_device(backbone):
    before = fingerprint(backbone)
    backbone.module.to("cuda")
    assert fingerprint(backbone) == before
