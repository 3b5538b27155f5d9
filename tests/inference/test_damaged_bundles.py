"""Bundles that are damaged or made to do harm: one BundleError of one line, and no file outside is read."""

import json
import shutil
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save

from hierpets.errors import BundleError, PluginError
from hierpets.inference.batch import photo_error
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor

MANIFEST, WEIGHTS, XML, BIN = "bundle.json", "weights.safetensors", "openvino/model.xml", "openvino/model.bin"
PHOTO = "demo:cat/siamese/1"


def manifest(*keys, value):
    """A damage that sets a key of the manifest."""

    def damage(content):
        inner = whole = json.loads(content)
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        return json.dumps(whole).encode()

    return damage


def tensors(change):
    """A damage that changes each tensor, given its name."""
    return lambda content: save({name: change(name, t).contiguous() for name, t in load_tensors(content).items()})


def replaced(old, new):
    return lambda content: content.replace(old, new, 1)


DAMAGES = {
    "manifest: not UTF-8": ("openvino", MANIFEST, lambda _: b"\xff\xfe"),
    "manifest: deep nesting": ("openvino", MANIFEST, lambda _: b"[" * 100_000 + b"]" * 100_000),
    "manifest: a number of 5000 digits": ("openvino", MANIFEST, lambda _: b'{"schema_version":' + b"9" * 5000 + b"}"),
    "manifest: a huge photo": ("openvino", MANIFEST, manifest("preprocess", "size", value=10**9)),
    "manifest: another size": ("openvino", MANIFEST, manifest("preprocess", "size", value=48)),
    "manifest: a standard deviation of 0": ("openvino", MANIFEST, manifest("preprocess", "std", value=[0.2, 0, 0.2])),
    "manifest: an infinite mean": (
        "openvino",
        MANIFEST,
        manifest("preprocess", "mean", value=[0.5, float("inf"), 0.5]),
    ),
    "manifest: a backbone with a path": ("openvino", MANIFEST, manifest("backbone", "name", value="../tiny")),
    "manifest: other features": ("openvino", MANIFEST, manifest("backbone", "feature_dim", value=7)),
    "manifest: a wrong type": ("openvino", MANIFEST, manifest("policy", value=3)),
    "manifest: a temperature of 0": ("openvino", MANIFEST, manifest("temperatures", "species", value=0)),
    "manifest: no species": ("openvino", MANIFEST, manifest("taxonomy", "tree", value={})),
    "manifest: more leaves than the graph": ("openvino", MANIFEST, manifest("taxonomy", "tree", "zebra", value=["a"])),
    "manifest: fewer leaves than the graph": ("openvino", MANIFEST, manifest("taxonomy", "tree", value={"cat": []})),
    "manifest: more leaves than the weights": ("torch", MANIFEST, manifest("taxonomy", "tree", "zebra", value=["a"])),
    "manifest: negative classes": ("torch", MANIFEST, manifest("ood", value={"classes": -1, "species": 2})),
    "manifest: a billion classes": ("torch", MANIFEST, manifest("ood", value={"classes": 10**9, "species": 2})),
    "weights: truncated": ("torch", WEIGHTS, lambda content: content[:-100]),
    "weights: empty": ("torch", WEIGHTS, lambda _: b""),
    "weights: a huge header": ("torch", WEIGHTS, lambda _: struct.pack("<Q", 2**62) + b"{}"),
    "weights: a header that is not JSON": ("torch", WEIGHTS, lambda _: struct.pack("<Q", 4) + b"nope"),
    "weights: other shapes": ("torch", WEIGHTS, tensors(lambda _, t: t[:1] if t.ndim else t)),
    "weights: NaN": ("torch", WEIGHTS, tensors(lambda _, t: t * float("nan") if t.is_floating_point() else t)),
    "weights: other scales": (
        "torch",
        WEIGHTS,
        tensors(lambda name, t: torch.zeros(3, 5, 7) if name.endswith(".scale") else t),
    ),
    "graph: empty": ("openvino", XML, lambda _: b""),
    "graph: not XML": ("openvino", XML, lambda _: b"<net>"),
    "graph: truncated": ("openvino", XML, lambda content: content[:3000]),
    "graph: weights out of range": ("openvino", XML, replaced(b'offset="', b'offset="99999999')),
    "graph: an unknown operation": ("openvino", XML, replaced(b'type="Convolution"', b'type="Evil"')),
    "graph: another input": ("openvino", XML, replaced(b"32,32", b"8,8")),
    "graph: weights truncated": ("openvino", BIN, lambda content: content[:-500]),
    "graph: weights empty": ("openvino", BIN, lambda _: b""),
    "graph: weights of ones": ("openvino", BIN, lambda content: b"\xff" * len(content)),
}


@pytest.fixture
def bundle(tiny_run, tmp_path):
    return shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")


@pytest.mark.parametrize("name", DAMAGES)
def test_load_refuses_a_damaged_bundle_in_one_line(bundle, registry, name):
    engine, file, damage = DAMAGES[name]
    before = (bundle / file).read_bytes()
    (bundle / file).write_bytes(damage(before))
    assert (bundle / file).read_bytes() != before
    with pytest.raises(BundleError) as caught:
        load(bundle, registry=registry, engine=engine)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(str(bundle))


def test_options_of_the_backbone_are_for_the_engine_that_builds_it(bundle, registry):
    content = (bundle / MANIFEST).read_bytes()
    (bundle / MANIFEST).write_bytes(manifest("backbone", "options", value={"evil": 1})(content))
    assert load(bundle, registry=registry, engine="openvino").predict(PHOTO).error is None
    with pytest.raises(PluginError, match=r"tiny\.py:\d+\): option evil: unknown option; known: width, pretrained"):
        load(bundle, registry=registry, engine="torch")


def test_load_expands_no_entity_of_a_graph(bundle, registry, tmp_path):
    (tmp_path / "secret").write_text("secret of the machine")
    entity = f'<!DOCTYPE net [<!ENTITY x SYSTEM "file://{tmp_path / "secret"}">]><net '.encode()
    content = (bundle / XML).read_bytes().replace(b"<net ", entity, 1).replace(b'name="', b'name="&x;', 1)
    (bundle / XML).write_bytes(content)
    prediction = load(bundle, registry=registry, engine="openvino").predict(PHOTO)
    assert "secret of" not in str(prediction.to_json())


class NanEngine:
    """What a graph does whose weights became NaN."""

    name, device, precision, workers, batch = "openvino", "cpu", "f32", 1, 1

    def __init__(self, engine):
        self.engine = engine

    def __call__(self, pixels):
        output = self.engine(pixels)
        return output._replace(leaf=np.full_like(output.leaf, np.nan))


def test_predict_calls_a_network_that_gives_nan_a_damaged_bundle(bundle, registry):
    predictor = load(bundle, registry=registry, engine="openvino")
    predictor = Predictor(predictor.manifest, NanEngine(predictor.engine), model=predictor.model)
    error = predictor.predict(PHOTO).error
    assert isinstance(error, BundleError)
    assert "NaN or infinity" in str(error)


def test_photo_error_keeps_the_words_of_an_unexpected_error_for_the_log(caplog):
    assert "secret" not in str(photo_error("a.jpg", RuntimeError("secret")))
    assert "secret" in caplog.text
