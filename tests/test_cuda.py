"""Every path that touches a device, on a real one: it computes what the CPU computes, and nothing stays there."""

import io

import numpy as np
import pytest
import torch
from helpers.color_server import LocalClient
from helpers.fakes import tiny_registry
from helpers.tuning import squares, tune

from hierpets.bundle.layout import released_bundle
from hierpets.data.photos import read_photo
from hierpets.evaluation.run import evaluate
from hierpets.explain.run import explain_photo, inspect_photo
from hierpets.export.export import export_bundle
from hierpets.inference.loading import load
from hierpets.model.backbone import build_backbone
from hierpets.registry.loading import load_registry
from hierpets.serve.app import create_app
from hierpets.serve.explaining import lazy_explainer
from hierpets.thumbnails import encode_png
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.recipe import train

pytestmark = pytest.mark.gpu
PHOTOS = [f"demo:{leaf}/{i}" for leaf in ("cat/siamese", "dog/pug", "dog/beagle") for i in range(8)]
MEMORY = 64 * 2**20


class Killed(Exception):
    pass


def equal(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def released():
    return {device: load(device=device, precision="f32") for device in ("cpu", "cuda")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of each device on the synthetic pets, features computed anew."""
    runs = {}
    for device in ("cpu", "cuda"):
        folder = tmp_path_factory.mktemp(device)
        tiny_registry(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HIERPETS_CACHE", str(folder / "cache"))
            runs[device] = train(
                recipe="heads",
                backbone="tiny",
                registry=folder / "registry.yaml",
                out=folder / "run",
                device=device,
            )
    return runs


def test_features_are_those_of_the_cpu(tmp_path, monkeypatch):
    backbone = build_backbone(tiny_registry(tmp_path), "tiny", {})[0]
    features = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / device))
        features[device] = FeatureExtractor(backbone, device).features(PHOTOS, "flip")
    np.testing.assert_allclose(features["cuda"], features["cpu"], rtol=1e-2, atol=1e-3 * features["cpu"].std())
    assert all(parameter.device.type == "cpu" for parameter in backbone.module.parameters())


def test_heads_trained_on_either_device_predict_the_same(trained):
    predictions = {name: run.predictor(device="cpu", recommend=False).predict(PHOTOS) for name, run in trained.items()}
    for ours, theirs in zip(predictions["cuda"], predictions["cpu"], strict=True):
        assert str(ours.breed) == str(theirs.breed)
        np.testing.assert_allclose(ours.joint, theirs.joint, atol=0.02)


@pytest.mark.parametrize("precision", ["f32", "f16", "bf16"])
def test_finetuning_lowers_the_loss_in_every_precision(tmp_path, precision):
    photos = squares(tmp_path, per_leaf=8), squares(tmp_path, per_leaf=4, seed=1)
    settings = {"epochs": 6, "precision": precision}
    result = tune(tmp_path, train=photos[0], val=photos[1], device="cuda", settings=settings)
    assert result.best.nll < 0.8 * result.start.nll
    assert all(parameter.device.type == "cpu" for parameter in result.network.parameters())


def test_finetuning_compiled_learns_as_well(tmp_path):
    results = [
        tune(tmp_path / str(flag), device="cuda", settings={"epochs": 3, "compile": flag}) for flag in (False, True)
    ]
    assert results[1].history[-1]["nll"] == pytest.approx(results[0].history[-1]["nll"], rel=0.1)


@pytest.mark.parametrize("precision", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("step", [2, 6])
def test_finetuning_resumed_ends_where_it_would_have(tmp_path, precision, step):
    settings = {"epochs": 3, "checkpoint_minutes": 0.0, "precision": precision}

    def kill(task, done, total):
        if (task, done) == ("fine-tuning steps", step):
            raise Killed

    alone = tune(tmp_path / "alone", device="cuda", settings=settings)
    with pytest.raises(Killed):
        tune(tmp_path / "killed", device="cuda", settings=settings, progress=kill)
    resumed = tune(tmp_path / "killed", device="cuda", settings=settings, resume=True)
    assert equal(alone.network.state_dict(), resumed.network.state_dict())


@pytest.mark.parametrize(("begun", "resumed"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_checkpoint_of_one_device_continues_on_the_other(tmp_path, begun, resumed):
    settings = {"epochs": 3, "checkpoint_minutes": 0.0, "precision": "auto"}
    steps = []

    def kill(task, done, total):
        if (task, done) == ("fine-tuning steps", 3):
            raise Killed

    with pytest.raises(Killed):
        tune(tmp_path, device=begun, settings=settings, progress=kill)
    result = tune(
        tmp_path, device=resumed, settings=settings, resume=True, progress=lambda _, done, __: steps.append(done)
    )
    assert steps[0] == 2
    assert len(result.history) == 4


def test_released_bundle_answers_as_on_the_cpu(released):
    for photo in PHOTOS:
        ours, theirs = (released[device].predict(photo) for device in ("cuda", "cpu"))
        assert (str(ours.level), ours.breed) == (str(theirs.level), theirs.breed)
        np.testing.assert_allclose(ours.joint, theirs.joint, atol=5e-3)


def test_stream_keeps_the_order(released):
    one_by_one = [released["cuda"].predict(photo) for photo in PHOTOS]
    together = list(released["cuda"].stream(PHOTOS * 3))
    for ours, theirs in zip(together, one_by_one * 3, strict=True):
        np.testing.assert_allclose(ours.joint, theirs.joint, atol=2e-3)


def test_evaluate_gives_the_metrics_of_the_cpu(trained):
    metrics = [
        evaluate(trained["cpu"].bundle, "demo", registry=trained["cpu"].registry, device=d) for d in ("cuda", "cpu")
    ]
    ours, theirs = (evaluation.metrics.breed.accuracy for evaluation in metrics)
    assert ours == pytest.approx(theirs, abs=0.02)


def test_explain_and_inspect_on_a_gpu(tmp_path, released):
    heat = [explain_photo(PHOTOS[0], device=device) for device in ("cuda", "cpu")]
    assert str(heat[0].prediction.breed) == str(heat[1].prediction.breed)
    inspect_photo(PHOTOS[0], device="cuda", out=tmp_path / "view.png")
    assert (tmp_path / "view.png").stat().st_size


def test_serve_on_a_gpu_answers_and_explains(released):
    picture = encode_png(read_photo(PHOTOS[0]))
    app = create_app(released["cuda"], explainer=lazy_explainer(released_bundle(), load_registry(None)))
    with LocalClient(app) as client:
        for path in ("/v1/predict", "/v1/explain"):
            answer = client.post(path, files={"photo": ("a.png", io.BytesIO(picture), "image/png")})
            assert answer.status_code == 200, answer.text


def test_a_bundle_trained_on_a_gpu_exports(trained, tmp_path):
    exported = export_bundle(
        trained["cuda"].bundle, "torchscript", out=tmp_path / "ts", registry=trained["cuda"].registry
    )
    assert exported.parity.holds


def test_memory_does_not_grow_from_batch_to_batch(released):
    list(released["cuda"].stream(PHOTOS * 2))
    before = torch.cuda.memory_allocated()
    for _ in range(5):
        list(released["cuda"].stream(PHOTOS * 2))
    assert torch.cuda.memory_allocated() <= before + MEMORY
