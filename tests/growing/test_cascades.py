"""A bundle that asks a smaller network first learns and forgets in all its networks."""

import shutil

import numpy as np
import pytest
from helpers.cascades import train_cascade, with_manifest
from helpers.colors import COLORS, paint, paint_photos

import hierpets
from hierpets.bundle.info import bundle_info
from hierpets.bundle.manifest import manifest_text, read_manifest
from hierpets.errors import BundleError
from hierpets.growing.bundle import open_bundle
from hierpets.growing.forget import forget
from hierpets.growing.grow import grow
from hierpets.taxonomy import Leaf

TUXEDO, HUSKY, RABBIT = Leaf("cat", "tuxedo"), Leaf("dog", "husky"), Leaf("rabbit", None)
OLD = {"cat/siamese": 25, "cat/tuxedo": 25, "dog/pug": 25}
NEW = {"dog/husky": 8, "rabbit/-": 8}
PHOTOS = [paint(label, number) for label in COLORS for number in range(300, 308)]  # eight of each


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cascade")


@pytest.fixture(scope="module")
def bundle(folder):
    """Two breeds of cats and one of dogs; the early network is sure of about half."""
    data = paint_photos(folder / "old", OLD)
    trained = train_cascade(folder / "trained", data, val_fraction=0.0, folds=3).bundle
    return with_threshold(trained, folder / "bundle", 0.9)


@pytest.fixture(scope="module")
def new(folder):
    return paint_photos(folder / "new", NEW, first=100)


@pytest.fixture(scope="module")
def grown(bundle, new, folder):
    return grow(bundle, new, out=folder / "grown")


@pytest.fixture
def predict(folder):
    """Predicts :data:`PHOTOS`."""
    registry = folder / "trained" / "registry.yaml"

    def run(model, engine="openvino"):
        return hierpets.load(model, engine=engine, precision="f32", registry=registry, recommend=False).predict(PHOTOS)

    return run


def with_threshold(bundle, target, threshold):
    """The same bundle, whose early network answers above another certainty."""

    def change(manifest):
        (early,) = manifest.early
        return manifest.model_copy(update={"early": (early.model_copy(update={"threshold": threshold}),)})

    return with_manifest(bundle, target, change)


def alone(bundle, target, stage):
    """One network of a bundle as a bundle of its own."""
    manifest = read_manifest(bundle)
    files, main = manifest.networks[stage], manifest.networks[-1]
    (target / main.graph).parent.mkdir(parents=True)
    pairs = [(files.weights, main.weights), (files.statistics_file, main.statistics_file), (files.graph, main.graph)]
    for source, name in [*pairs, (files.graph.with_suffix(".bin"), main.graph.with_suffix(".bin"))]:
        shutil.copy(bundle / source, target / name)
    (target / "bundle.json").write_text(manifest_text(manifest.alone(stage)))
    return target


def test_training_keeps_statistics_of_every_network(bundle):
    manifest = read_manifest(bundle)
    specs = [network.statistics for network in manifest.networks]
    assert [spec.photos for spec in specs] == [OLD, OLD]
    assert specs[0].sha256 != specs[1].sha256
    assert (bundle / "early0-statistics.safetensors").is_file()
    assert [network.statistics.sums.shape for network in open_bundle(bundle).networks] == [(3, 32), (3, 64)]
    assert bundle_info(bundle).grows


def test_every_network_learns_and_none_loses_its_backbone(grown, bundle):
    before, after = open_bundle(bundle), open_bundle(grown.bundle)
    manifest = after.manifest
    assert set(grown.new) == {HUSKY, RABBIT}
    assert dict(zip(manifest.taxonomy.leaves, manifest.origins, strict=True))[HUSKY] == "grown"
    for old, network in zip(before.networks, after.networks, strict=True):
        assert network.statistics.counts_of([HUSKY]) == grown.photos[HUSKY]
        assert network.heads.leaf_head.out_features == 5
        assert {name: old.backbone[name].tolist() for name in old.backbone} == {
            name: network.backbone[name].tolist() for name in network.backbone
        }
    (threshold,) = {one.early[0].threshold for one in (before.manifest, manifest)}
    assert threshold == 0.9


def test_new_classes_are_named_by_either_network_and_alike_in_both_engines(grown, predict):
    first, second = predict(grown.bundle), predict(grown.bundle, "torch")
    assert {prediction.stage for prediction in first} == {0, 1}
    for a, b in zip(first, second, strict=True):
        assert a.stage == b.stage
        np.testing.assert_allclose(a.joint, b.joint, atol=1e-3)
    top = [prediction.decision.top[0][0] for prediction in first]
    assert top[24:32].count(HUSKY) >= 6
    assert top[32:].count(RABBIT) >= 6


@pytest.mark.parametrize(("stage", "threshold"), [(0, 0.0), (1, 1.0)])
def test_growing_judges_by_the_network_that_answers(bundle, new, tmp_path, stage, threshold):
    """Where one network answers everything, all is as if it were a bundle by itself."""
    together = grow(with_threshold(bundle, tmp_path / "changed", threshold), new, out=tmp_path / "together")
    itself = grow(alone(bundle, tmp_path / "alone", stage), new, out=tmp_path / "itself")
    assert (together.photos, together.left_out, together.accuracy) == (itself.photos, itself.left_out, itself.accuracy)
    files = read_manifest(together.bundle).networks[stage]
    for name, other in ((files.weights, "weights.safetensors"), (files.statistics_file, "statistics.safetensors")):
        assert (together.bundle / name).read_bytes() == (itself.bundle / other).read_bytes()
    one, two = (read_manifest(result.bundle).policy for result in (together, itself))
    for name, rows in two.of("trained").items():
        np.testing.assert_allclose(one.of("trained")[name], rows, atol=1e-5)
    assert one.leaves.keys() == two.leaves.keys()
    assert one.pet == pytest.approx(two.pet)


def test_growing_in_two_steps_is_growing_at_once(grown, bundle, tmp_path):
    assert grown.photos == {HUSKY: 8, RABBIT: 8}
    first = paint_photos(tmp_path / "a", {"dog/husky": 1, "rabbit/-": 5}, first=100)
    for label, done in (("dog/husky", 1), ("rabbit/-", 5)):
        second = paint_photos(tmp_path / "b", {label: 8 - done}, first=100 + done)
    step = grow(bundle, first, out=tmp_path / "step", trust_labels=True)
    last = grow(step.bundle, second, out=tmp_path / "last", trust_labels=True)
    one, other = open_bundle(last.bundle), open_bundle(grown.bundle)
    assert one.manifest.taxonomy == other.manifest.taxonomy
    assert one.manifest.training["grown"] == other.manifest.training["grown"]
    for a, b in zip(one.networks, other.networks, strict=True):
        assert a.spec.photos == b.spec.photos
        np.testing.assert_allclose(a.statistics.means, b.statistics.means, atol=1e-5)
        np.testing.assert_allclose(a.statistics.weights, b.statistics.weights)
        weights = [network.heads.get_heads().leaf.weight.ravel() for network in (a, b)]
        assert np.corrcoef(*weights)[0, 1] > 0.99  # how the first photos scatter is not known by itself


def test_every_network_forgets(grown, predict, tmp_path):
    less_sure = with_threshold(grown.bundle, tmp_path / "grown", 0.7)  # or it would answer none of few classes
    result = forget(less_sure, "cat/tuxedo", "rabbit", out=tmp_path / "less")
    after = open_bundle(result.bundle)
    assert result.forgotten == (TUXEDO, RABBIT)
    assert after.manifest.taxonomy.tree == {"cat": ("siamese",), "dog": ("husky", "pug")}
    for network in after.networks:
        assert not {TUXEDO, RABBIT} & {*network.statistics.labels}
        assert network.heads.leaf_head.out_features == 3
    first, second = predict(result.bundle), predict(result.bundle, "torch")
    assert {prediction.stage for prediction in first} == {0, 1}
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a.joint, b.joint, atol=1e-3)


def test_statistics_of_one_network_alone_do_not_do(bundle, new, tmp_path):
    def without(manifest):
        return manifest.with_statistics([None, manifest.statistics])

    def other(manifest):
        spec = manifest.statistics
        fewer = spec.model_copy(update={"photos": {**spec.photos, "dog/pug": 24}})
        return manifest.with_statistics([manifest.early[0].statistics, fewer])

    with pytest.raises(BundleError, match=r"no early0-statistics\.safetensors: this bundle keeps no statistics"):
        grow(with_manifest(bundle, tmp_path / "a", without), new, out=tmp_path / "grown")
    assert not bundle_info(tmp_path / "a").grows
    with pytest.raises(BundleError, match="statistics of other photos for each network"):
        grow(with_manifest(bundle, tmp_path / "b", other), new, out=tmp_path / "grown")
    assert not (tmp_path / "grown").exists()
