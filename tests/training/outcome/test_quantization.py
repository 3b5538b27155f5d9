"""A training ends with a graph in int8 where photos that were held out allow it."""

import pytest
from helpers.fakes import tiny_registry

from hierpets.config import change_config
from hierpets.errors import BundleError
from hierpets.inference.loading import load
from hierpets.training.outcome import quantization
from hierpets.training.recipe import train


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Trains on the demo set, and says what came of int8."""
    tiny_registry(tmp_path)
    monkeypatch.setattr(quantization, "MIN_PHOTOS", 20)

    def run(name: str = "run", **settings):
        events: list[dict] = []
        base = {"recipe": "heads", "backbone": "tiny", "registry": tmp_path / "registry.yaml", "val_fraction": 0.4}
        config = change_config(None, base | {"out": tmp_path / name} | settings)
        result = train(config=config, listener=events.append)
        (event,) = [event for event in events if event["event"] == "quantized"]
        return result, event

    return run


def test_a_training_ends_in_int8_where_the_photos_that_were_held_out_allow_it(trained, monkeypatch):
    monkeypatch.setattr("hierpets.export.parity.MAX_FALL", 1.0)
    result, event = trained()
    assert event["done"] and "correct on" in event["why"]
    assert result.predictor(recommend=False).engine.precision == "int8"
    assert result.predictor(recommend=False, precision="f32").engine.precision == "f32"
    plain, told = trained("plain", quantize=False)
    assert (told["done"], told["why"]) == (False, "quantize is false")
    assert plain.predictor(recommend=False).model == result.predictor(recommend=False).model


def test_a_graph_that_loses_accuracy_is_not_kept(trained, monkeypatch):
    def refuse(*_args, **_settings):
        raise BundleError("openvino: nothing written: correct on 3 of 40, was 40")

    monkeypatch.setattr(quantization, "export_bundle", refuse)
    result, event = trained()
    assert event == event | {"done": False, "why": "openvino: nothing written: correct on 3 of 40, was 40"}
    assert load(result.bundle, registry=result.registry, recommend=False).engine.precision != "int8"


def test_few_photos_show_nothing(trained, monkeypatch):
    monkeypatch.setattr(quantization, "MIN_PHOTOS", 10_000)
    _, event = trained()
    assert not event["done"] and "10000 are needed" in event["why"]


def test_without_nncf_a_bundle_stays_as_it_is(trained, monkeypatch):
    monkeypatch.setattr(quantization, "is_installed", lambda name: None)
    _, event = trained()
    assert not event["done"] and "pip install 'hierpets[export]'" in event["why"]
