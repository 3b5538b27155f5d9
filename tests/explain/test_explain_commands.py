"""``hierpets explain`` and ``hierpets inspect`` on a tiny bundle, from the command line to the picture."""

import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from helpers.cascades import PHOTOS as CASCADE_PHOTOS

from hierpets.cli.deploy.explain import command as explain
from hierpets.cli.deploy.inspect import command as inspect
from hierpets.data.photos import read_photo
from hierpets.data.transforms import denormalize
from hierpets.errors import BundleError, ConfigError, ImageError
from hierpets.explain.explainer import Explainer
from hierpets.explain.gradcam import gradcam
from hierpets.explain.lazy import lazy_overlay
from hierpets.explain.run import explain_photo, inspect_photo
from hierpets.explain.trace import trace_photo
from hierpets.inference.engines.cascade import SecondLookResult
from hierpets.inference.engines.openvino import OpenVinoEngine
from hierpets.inference.loading import load
from hierpets.thumbnails import encode_png


@pytest.fixture(scope="module")
def explainer(tiny_run, registry):
    return Explainer.load(tiny_run / "bundle", registry=registry)


@pytest.fixture(scope="module")
def predictor(tiny_run, registry):
    return load(tiny_run / "bundle", registry=registry, recommend=False)


def run(command, tiny_run, *arguments):
    common = ["--model", str(tiny_run / "bundle"), "--registry", str(tiny_run.parent / "registry.yaml")]
    return CliRunner().invoke(command, [*arguments, *common])


def test_explain_command_writes_a_picture_and_lists_the_candidates(tiny_run, tmp_path, predictor):
    result = run(explain, tiny_run, "demo:dog/pug/901", "--out", str(tmp_path / "deep" / "e.png"), "--top-k", "4")
    assert result.exit_code == 0, result.output
    picture = cv2.imread(str(tmp_path / "deep" / "e.png"))
    assert picture.shape[1] > 1.5 * picture.shape[0]
    (answer,) = predictor.predict(["demo:dog/pug/901"], top_k=4)
    for leaf, probability in answer.decision.top:
        assert re.search(rf"{probability:.1%}\s+{leaf}\n", result.output)


def test_explain_command_bounds_the_picture_of_a_long_photo(tiny_run, tmp_path):
    (tmp_path / "long.png").write_bytes(encode_png(np.zeros((20, 900, 3), np.uint8)))
    result = run(explain, tiny_run, str(tmp_path / "long.png"), "--out", str(tmp_path / "e.png"))
    assert result.exit_code == 0, result.output
    assert max(cv2.imread(str(tmp_path / "e.png")).shape) <= 2400


@pytest.mark.parametrize("command", [explain, inspect])
def test_explain_and_inspect_commands_use_the_engine_that_was_asked_for(tiny_run, tmp_path, command):
    result = run(command, tiny_run, "demo:dog/pug/901", "--out", str(tmp_path / "e.png"), "--precision", "int8")
    assert isinstance(result.exception, BundleError)
    assert "not quantized" in str(result.exception)


@pytest.mark.parametrize("command", [explain, inspect])
def test_explain_and_inspect_commands_keep_a_file_that_is_there(tiny_run, tmp_path, command):
    photo = tmp_path / "own.png"
    photo.write_bytes(encode_png(read_photo("demo:dog/pug/901")))
    before = photo.read_bytes()
    result = run(command, tiny_run, str(photo), "--out", str(photo))
    assert isinstance(result.exception, ConfigError) and "already exists; give overwrite" in str(result.exception)
    assert photo.read_bytes() == before
    assert run(command, tiny_run, str(photo), "--out", str(photo), "--overwrite").exit_code == 0
    assert photo.read_bytes() != before


def test_explainer_finds_other_evidence_for_the_breed_than_for_its_species(explainer):
    found = explainer.explain("demo:dog/pug/901")
    assert found.species.shape == found.photo.shape == (256, 256, 3)
    assert not np.array_equal(found.species, found.photo)
    assert found.breed is None or not np.array_equal(found.species, found.breed)


def test_explainer_serves_the_gallery_and_takes_arrays(explainer, tiny_run, registry):
    path = "demo:cat/calico/3"
    shown = explainer(path, leaf=1)
    assert shown.shape == (256, 256, 3)
    np.testing.assert_array_equal(shown, lazy_overlay(tiny_run / "bundle", registry=registry)(path, leaf=1))
    np.testing.assert_array_equal(explainer.explain(read_photo(path)).species, explainer.explain(path).species)


def test_explainer_names_a_photo_or_a_bundle_that_cannot_be_read(explainer, tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        explainer.explain(str(tmp_path / "gone.jpg"))
    with pytest.raises(BundleError, match="no bundle here"):
        Explainer.load(tmp_path)


def test_inspect_command_shows_every_stage_in_one_line(tiny_run, tmp_path):
    result = run(inspect, tiny_run, "demo:dog/husky/1", "--out", str(tmp_path / "seen.png"))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    first = ["decoded", "transformed", "features", "species logits", "leaf logits", "scores"]
    last = ["species probabilities", "leaf probabilities", "pet score", "listed", "named probabilities"]
    names = [line[:22].strip() for line in lines[:-1]]
    assert (names[:6], names[-5:]) == (first, last)
    assert "256x256x3" in lines[0]
    assert "uint8" in lines[0]
    assert "3x32x32" in lines[1]
    assert all("NaN 0  Inf 0" in line for line in lines[:-1])
    assert cv2.imread(str(tmp_path / "seen.png")).shape == (32, 32, 3)


def test_trace_photo_ends_in_the_probabilities_of_predict(predictor):
    path = "demo:cat/tuxedo/2"
    (answer,) = predictor.predict([path])
    steps = {step.name: step.array for step in trace_photo(predictor, path)}
    np.testing.assert_allclose(steps["leaf probabilities"], answer.joint, atol=1e-6)
    np.testing.assert_allclose(steps["species probabilities"].sum(), 1.0)
    np.testing.assert_allclose(steps["pet score"], answer.pet_score, atol=1e-4)
    assert answer.decision.listed == pytest.approx(steps["listed"][0], abs=1e-5)
    assert answer.decision.top[0][1] == pytest.approx(steps["named probabilities"].max(), abs=1e-6)


def test_trace_photo_tells_what_a_detector_objects(predictor, monkeypatch):
    path = "demo:cat/tuxedo/2"
    assert "objection" not in {step.name for step in trace_photo(predictor, path)}

    def object_to_all(output, photos, *, rows, closer):
        scores = output.scores - np.eye(1, output.scores.shape[1], dtype=np.float32) * 3
        return SecondLookResult(output._replace(scores=scores), {}, {0: 3.0})

    monkeypatch.setattr(predictor.cascade, "second_look", object_to_all)
    steps = {step.name: step.array for step in trace_photo(predictor, path)}
    assert steps["scores"][0] - steps["pet score"][0] == pytest.approx(steps["objection"][0]) == pytest.approx(3.0)


def test_trace_photo_holds_the_photo_as_the_network_sees_it(predictor):
    steps = {step.name: step for step in trace_photo(predictor, "demo:dog/golden/1")}
    seen = denormalize(predictor.manifest.preprocess, steps["transformed"].array)
    shrunk = cv2.resize(steps["decoded"].array, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(seen.astype(int) - shrunk).max() <= 1


@pytest.mark.parametrize("name", ["features", "scores"])
def test_inspect_command_counts_nan_and_fails(tiny_run, tmp_path, monkeypatch, name):
    from hierpets.inference.engines.openvino import OpenVinoEngine

    original = OpenVinoEngine.__call__

    def broken(self, images):
        output = original(self, images)
        getattr(output, name)[0, 0] = np.nan
        return output

    monkeypatch.setattr(OpenVinoEngine, "__call__", broken)
    result = run(inspect, tiny_run, "demo:dog/husky/1", "--out", str(tmp_path / "seen.png"))
    assert "NaN 1" in result.output
    assert f"first at {name!r}" in result.output
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


def test_inspect_command_describes_tensors_with_lovely_tensors(tiny_run, tmp_path):
    pytest.importorskip("lovely_tensors", reason="the extra `inspect` is not installed")
    result = run(inspect, tiny_run, "demo:dog/husky/1", "--lovely", "--out", str(tmp_path / "seen.png"))
    assert result.exit_code == 0, result.output
    assert "tensor[3, 32, 32]" in result.output


def test_inspect_photo_writes_nothing_without_out(tiny_run, registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = inspect_photo("demo:dog/husky/1", bundle=tiny_run / "bundle", registry=registry)
    assert [step.name for step in steps][:2] == ["decoded", "transformed"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("function", [explain_photo, inspect_photo])
def test_explain_photo_and_inspect_photo_check_out_before_the_work(tmp_path, function):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        function("gone.jpg", bundle=tmp_path / "no bundle", out=tmp_path / "file" / "e.png")


def test_trace_photo_shows_every_network_that_was_asked(cascade):
    predictor = load(cascade.folder, registry=cascade.registry, recommend=False)
    answers = predictor.predict(CASCADE_PHOTOS)
    threshold = cascade.manifest.early[0].threshold
    for stage in (0, 1):
        photo = next(answer.path for answer in answers if answer.stage == stage)
        steps = {step.name: step for step in trace_photo(predictor, photo)}
        assert [name for name in steps if name.startswith("features")] == ["features (0)", "features (1)"][: stage + 1]
        assert (steps["certainty (0)"].array[0] > threshold) == (stage == 0)
        assert steps["transformed (0)"].array.shape == (3, 24, 24)
        expected = next(answer.joint for answer in answers if answer.path == photo)
        np.testing.assert_allclose(steps["leaf probabilities"].array, expected, atol=1e-6)


def test_inspect_photo_draws_what_the_network_that_answered_saw(cascade, tmp_path):
    predictor = load(cascade.folder, registry=cascade.registry, recommend=False)
    answers = predictor.predict(CASCADE_PHOTOS)
    for stage, size in enumerate((24, 32)):
        photo = next(answer.path for answer in answers if answer.stage == stage)
        out = tmp_path / f"{stage}.png"
        inspect_photo(photo, bundle=cascade.folder, out=out, registry=cascade.registry)
        assert cv2.imread(str(out)).shape == (size, size, 3)


def test_explainer_says_why_a_photo_cannot_be_predicted(explainer, monkeypatch):
    def fail(self, pixels):
        raise BundleError("the network gives no numbers")

    monkeypatch.setattr(OpenVinoEngine, "__call__", fail)
    for ask in (explainer.explain, lambda photo: explainer(photo, leaf=0)):
        with pytest.raises(BundleError, match="no numbers"):
            ask("demo:dog/pug/901")


def test_explainer_looks_into_the_network_that_answered(cascade, monkeypatch):
    explainer = Explainer.load(cascade.folder, registry=cascade.registry)
    answers = load(cascade.folder, registry=cascade.registry, recommend=False).predict(CASCADE_PHOTOS)
    looked = []

    def watched(network, *given, **more):
        looked.append(network.leaf_head.in_features)
        return gradcam(network, *given, **more)

    monkeypatch.setattr("hierpets.explain.explainer.gradcam", watched)
    for stage, width in enumerate((4, 8)):
        photo = next(answer.path for answer in answers if answer.stage == stage)
        explainer.explain(photo)
        explainer(photo, leaf=0)
        assert looked[-2:] == [16 * width] * 2


@pytest.mark.parametrize("draw", [explain_photo, inspect_photo])
def test_a_picture_that_is_not_called_as_a_png_is_refused(draw, tmp_path):
    with pytest.raises(ConfigError, match=r"a.jpg: the picture is a PNG; choose a name that ends in .png"):
        draw("demo:dog/pug/1", out=tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()
