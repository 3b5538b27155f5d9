import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers.fakes import TAXONOMY, tiny_registry

from hierpets.bundle.identity import model_id
from hierpets.bundle.layout import GRAPH
from hierpets.bundle.manifest import BackboneSpec, Manifest, read_manifest
from hierpets.errors import BundleError, PluginError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.inference.engines.openvino import OpenVinoEngine
from hierpets.inference.engines.torch import TorchEngine
from hierpets.model.backbone import build_backbone
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.reader import read_networks
from hierpets.model.writer import write_bundle
from hierpets.registry.loading import load_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return tiny_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def made(registry, tmp_path_factory):
    backbone, spec = build_backbone(registry, "tiny", {"width": 4})
    torch.manual_seed(3)
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, TAXONOMY).eval()
    manifest = Manifest(
        taxonomy=TAXONOMY,
        preprocess=backbone.preprocess,
        backbone=spec,
        temperatures=Temperatures(species=2.0, breeds={"cat": 3.0}),
    )
    folder = tmp_path_factory.mktemp("run") / "bundle"
    write_bundle(folder, network, manifest)
    return folder, network, manifest


def test_read_manifest_gives_what_was_written(made):
    folder, _, manifest = made
    read = read_manifest(folder)
    assert read == manifest.with_sampled([read.sampled])
    assert len(read.sampled) == 8
    assert read_manifest(folder).taxonomy.leaves == TAXONOMY.leaves


def test_manifest_has_an_origin_for_every_leaf_and_trained_where_none_is_said(made):
    _, _, manifest = made
    assert manifest.origins == ("trained",) * 6
    grown = manifest.model_dump() | {"origins": ("trained",) * 5 + ("grown",)}
    assert Manifest.model_validate(grown).origins[-1] == "grown"
    with pytest.raises(ValueError, match="one for each of 6 leaves"):
        Manifest.model_validate(grown | {"origins": ("grown",)})


def test_write_bundle_serves_both_engines_as_the_network_did(made, registry, pixels):
    folder, network, manifest = made
    expected = TorchEngine(network, manifest.preprocess)(pixels)
    read = TorchEngine(read_networks(folder, manifest, registry)[-1], manifest.preprocess)
    for engine in (read, OpenVinoEngine(folder / GRAPH)):
        for name, got in engine(pixels)._asdict().items():
            np.testing.assert_allclose(got, getattr(expected, name), atol=2e-3, err_msg=f"{engine.name} {name}")


def test_write_bundle_gives_the_same_bytes_for_the_same_network(made, tmp_path):
    folder, network, manifest = made
    write_bundle(tmp_path / "again", network, manifest)
    for name in ("bundle.json", "weights.safetensors", "openvino/model.bin"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_write_bundle_replaces_a_bundle_whole(made, tmp_path):
    _, network, manifest = made
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "stale").write_text("old")
    write_bundle(tmp_path / "bundle", network, manifest)
    assert sorted(p.name for p in (tmp_path / "bundle").iterdir()) == ["bundle.json", "openvino", "weights.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_write_bundle_that_fails_leaves_the_old_one(made, tmp_path, monkeypatch):
    _, network, manifest = made
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("old")

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("hierpets.model.writer.write_graph", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bundle(tmp_path / "bundle", network, manifest)
    assert (tmp_path / "bundle" / "bundle.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no bundle here"),
        ("{", "not JSON"),
        ('{"schema_version": 99}', "schema version 99, this hierpets reads 4"),
        ('{"schema_version": 1}', "written by an older hierpets .schema 1, this one reads 4.; train it again"),
        ('{"schema_version": 3}', "written by an older hierpets .schema 3, this one reads 4.; train it again"),
        ('{"schema_version": 4}', "taxonomy: is missing"),
        ("[]", "schema version None"),
    ],
)
def test_read_manifest_says_why_a_folder_is_no_bundle(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match=expected):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"pet": float("nan")}, r"policy\.pet: "),
        ({"scores": {"trained": {"cat": [[float("nan"), 0.5, 0.5]]}}}, r"policy\.scores\.trained\.cat\S*: "),
        ({"leaves": {"cat/birman": [0.1, float("inf")]}}, r"policy\.leaves\.\S+: "),
    ],
)
def test_read_manifest_takes_no_threshold_that_is_no_number(made, tmp_path, policy, expected):
    """Any photo would pass one."""
    content = json.loads(made[2].model_dump_json())
    content["policy"] |= policy
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=expected):
        read_manifest(tmp_path)


def test_read_networks_refuses_weights_of_another_backbone(made, registry):
    folder, _, manifest = made
    other = manifest.model_copy(update={"backbone": BackboneSpec(name="tiny", options={"width": 5}, feature_dim=80)})
    with pytest.raises(BundleError, match="does not fit backbone 'tiny'"):
        read_networks(folder, other, registry)


def test_read_networks_refuses_a_plugin_that_computes_other_features(made, registry, tmp_path):
    folder, _, _ = made
    changed = tiny_registry(tmp_path)
    file = tmp_path / "plugins" / "tiny.py"
    file.write_text(file.read_text().replace("torch.nn.ReLU()", "torch.nn.GELU()"))
    manifest = read_manifest(folder)
    read_networks(folder, manifest, registry)
    read_networks(folder, manifest.with_sampled([()]), changed)  # an older bundle does not say
    with pytest.raises(BundleError, match=r"backbone 'tiny' \(.*tiny\.py:7\) computes other features than when"):
        read_networks(folder, manifest, changed)


def test_read_networks_says_what_to_do_without_the_plugin_of_its_backbone(made):
    folder, _, manifest = made
    with pytest.raises(PluginError, match=r"bundle: unknown backbone 'tiny'.*; name the registry .* or install"):
        read_networks(folder, manifest, load_registry())


def test_read_networks_never_asks_for_pretrained_weights(made, registry, monkeypatch):
    folder, _, manifest = made
    seeds = []
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    read_networks(folder, manifest, registry)
    assert seeds == [1]  # the plugin's branch for pretrained=False


def test_write_bundle_writes_no_pickle(made):
    folder, _, _ = made
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} == {".json", ".safetensors", ".xml", ".bin"}
    json.loads((folder / "bundle.json").read_text())


def test_read_networks_says_that_an_export_holds_no_weights(made, registry, tmp_path):
    folder, _, manifest = made
    (tmp_path / "bundle.json").write_bytes((folder / "bundle.json").read_bytes())
    with pytest.raises(BundleError, match=r"no weights\.safetensors, which torch needs"):
        read_networks(tmp_path, manifest, registry)


def test_model_id_tells_models_apart_by_manifest_and_weights(made, tmp_path):
    folder, network, manifest = made
    write_bundle(tmp_path / "same", network, manifest)
    write_bundle(tmp_path / "other", network, manifest.model_copy(update={"version": "2"}))
    assert model_id(tmp_path / "same") == model_id(folder)
    other = model_id(tmp_path / "other")
    assert other.digest != model_id(folder).digest
    assert (other.version, str(other)) == ("2", f"2 ({other.digest})")
    (tmp_path / "same" / "openvino" / "check.json").write_text("{}")
    assert model_id(tmp_path / "same") == model_id(folder)


def test_a_bundle_of_two_networks_is_read_as_it_was_written(cascade, pixels):
    sampled = [spec.sampled for spec in read_manifest(cascade.folder).networks]
    assert read_manifest(cascade.folder) == cascade.manifest.with_sampled(sampled)
    names = [(spec.weights, spec.graph.as_posix()) for spec in cascade.manifest.networks]
    assert names == [("early0.safetensors", "openvino/early0.xml"), ("weights.safetensors", "openvino/model.xml")]
    read = read_networks(cascade.folder, cascade.manifest, cascade.registry)
    for before, after in zip(cascade.networks, read, strict=True):
        expected, found = (TorchEngine(network, cascade.manifest.preprocess)(pixels) for network in (before, after))
        for name, got in found._asdict().items():
            np.testing.assert_allclose(got, getattr(expected, name), atol=2e-3, err_msg=name)


def test_model_id_is_that_of_all_networks(cascade, tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(folder, cascade.networks[1], cascade.manifest, early=cascade.networks[:1])
    assert model_id(folder) == model_id(cascade.folder)
    early = deepcopy(cascade.networks[0])
    with torch.no_grad():
        early.leaf_head.bias[0] += 1
    write_bundle(tmp_path / "other", cascade.networks[1], cascade.manifest, early=[early])
    assert model_id(tmp_path / "other") != model_id(cascade.folder)


def test_manifest_wants_ood_scorers_in_all_networks_or_in_none(cascade):
    content = cascade.manifest.model_dump() | {"ood": {"classes": 6, "species": 3}}
    with pytest.raises(ValueError, match="early: expected an OOD scorer in every network, or in none"):
        Manifest.model_validate(content)


def test_manifest_alone_speaks_of_one_network(cascade):
    manifest = cascade.manifest
    early, main = manifest.alone(0), manifest.alone(1)
    assert early.early == main.early == ()
    assert (early.preprocess, early.temperatures) == (manifest.early[0].preprocess, manifest.early[0].temperatures)
    assert (main.preprocess, main.temperatures) == (manifest.preprocess, manifest.temperatures)
    assert manifest.decoded_side == max(early.decoded_side, main.decoded_side)


def test_build_backbone_has_photos_decoded_for_another_network_and_nothing_else_changed(registry):
    plain, _ = build_backbone(registry, "tiny", {})
    for side in (10, 48, 49, 61, 333):
        alike, _ = build_backbone(registry, "tiny", {}, decoded_side=side)
        assert alike.preprocess.decoded_side == max(side, plain.preprocess.decoded_side)
        margin = plain.preprocess.decode_margin
        assert alike.preprocess.model_copy(update={"decode_margin": margin}) == plain.preprocess
