"""``hierpets explain`` and ``hierpets inspect`` on a tiny bundle, from the command line to the picture."""

import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from hierpets.cli.deploy.explain import command as explain
from hierpets.cli.deploy.inspect import command as inspect
from hierpets.data.photos import read_photo
from hierpets.data.transforms import denormalize
from hierpets.errors import BundleError, ImageError
from hierpets.explain.explainer import Explainer, lazy_overlay
from hierpets.explain.trace import walk
from hierpets.inference.loading import load
from hierpets.registry.loading import load_registry


@pytest.fixture(scope="module")
def registry(tiny_run):
    return load_registry(tiny_run.parent / "registry.yaml")


@pytest.fixture(scope="module")
def explainer(tiny_run, registry):
    return Explainer.load(tiny_run / "bundle", registry=registry)


@pytest.fixture(scope="module")
def predictor(tiny_run, registry):
    return load(tiny_run / "bundle", registry=registry, recommend=False)


def run(command, tiny_run, *arguments):
    common = ["--model", str(tiny_run / "bundle"), "--registry", str(tiny_run.parent / "registry.yaml")]
    return CliRunner().invoke(command, [*arguments, *common])


def test_explain_writes_a_picture_and_names_the_answers(tiny_run, tmp_path, predictor):
    result = run(explain, tiny_run, "demo:dog/pug/901", "--out", str(tmp_path / "deep" / "e.png"), "--top-k", "4")
    assert result.exit_code == 0, result.output
    picture = cv2.imread(str(tmp_path / "deep" / "e.png"))
    assert picture.shape[1] > 1.5 * picture.shape[0]
    (answer,) = predictor.predict(["demo:dog/pug/901"], top_k=4)
    for leaf, probability in answer.decision.top:
        assert re.search(rf"{probability:.1%}\s+{leaf}\n", result.output)


@pytest.mark.parametrize("command", [explain, inspect])
def test_the_engine_is_the_one_that_was_asked_for(tiny_run, tmp_path, command):
    result = run(command, tiny_run, "demo:dog/pug/901", "--out", str(tmp_path / "e.png"), "--precision", "int8")
    assert isinstance(result.exception, BundleError)
    assert "not quantized" in str(result.exception)


def test_what_spoke_differs_between_the_species_and_its_breed(explainer):
    found = explainer.explain("demo:dog/pug/901")
    assert found.species.shape == found.photo.shape == (256, 256, 3)
    assert not np.array_equal(found.species, found.photo)
    assert found.breed is None or not np.array_equal(found.species, found.breed)


def test_the_explainer_serves_the_gallery_and_takes_arrays(explainer, tiny_run, registry):
    path = "demo:cat/calico/3"
    shown = explainer(path, leaf=1)
    assert shown.shape == (256, 256, 3)
    np.testing.assert_array_equal(shown, lazy_overlay(tiny_run / "bundle", registry=registry)(path, leaf=1))
    np.testing.assert_array_equal(explainer.explain(read_photo(path)).species, explainer.explain(path).species)


def test_a_photo_or_a_bundle_that_cannot_be_read_is_named(explainer, tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        explainer.explain(str(tmp_path / "gone.jpg"))
    with pytest.raises(BundleError, match="no bundle here"):
        Explainer.load(tmp_path)


def test_inspect_shows_every_station_in_one_line(tiny_run, tmp_path):
    result = run(inspect, tiny_run, "demo:dog/husky/1", "--out", str(tmp_path / "seen.png"))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    names = ["decoded", "transformed", "features", "species logits", "leaf logits"]
    assert [line[:22].strip() for line in lines[:5]] == names
    assert "256x256x3" in lines[0]
    assert "uint8" in lines[0]
    assert "3x32x32" in lines[1]
    assert all("NaN 0  Inf 0" in line for line in lines[:9])
    assert cv2.imread(str(tmp_path / "seen.png")).shape == (32, 32, 3)


def test_the_walk_ends_in_the_answer_of_predict(predictor):
    path = "demo:cat/tuxedo/2"
    (answer,) = predictor.predict([path])
    *_, species, leaves = walk(predictor, path)
    np.testing.assert_allclose(leaves.array, answer.joint, atol=1e-6)
    np.testing.assert_allclose(species.array.sum(), 1.0)


def test_what_the_network_sees_is_the_photo_again(predictor):
    stations = {station.name: station for station in walk(predictor, "demo:dog/golden/1")}
    seen = denormalize(predictor.manifest.preprocess, stations["transformed"].array)
    shrunk = cv2.resize(stations["decoded"].array, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(seen.astype(int) - shrunk).max() <= 1


def test_nan_is_counted_and_fails_the_command(tiny_run, tmp_path, monkeypatch):
    from hierpets.inference.engines.openvino import OpenVinoEngine

    sound = OpenVinoEngine.__call__

    def broken(self, images):
        output = sound(self, images)
        output.features[0, 0] = np.nan
        return output

    monkeypatch.setattr(OpenVinoEngine, "__call__", broken)
    result = run(inspect, tiny_run, "demo:dog/husky/1", "--out", str(tmp_path / "seen.png"))
    assert "NaN 1" in result.output
    assert "'features'" in result.output
    # Standalone click swallows the command's return value, so ask the command itself.
    context = inspect.make_context(
        "inspect",
        [
            "demo:dog/husky/1",
            "--model",
            str(tiny_run / "bundle"),
            "--registry",
            str(tiny_run.parent / "registry.yaml"),
            "--out",
            str(tmp_path / "again.png"),
        ],
    )
    assert inspect.invoke(context) == 1


def test_lovely_describes_the_same_stations(tiny_run, tmp_path):
    pytest.importorskip("lovely_tensors", reason="the extra `inspect` is not installed")
    result = run(inspect, tiny_run, "demo:dog/husky/1", "--lovely", "--out", str(tmp_path / "seen.png"))
    assert result.exit_code == 0, result.output
    assert "tensor[3, 32, 32]" in result.output
