"""What ``tools/gpu_check.py`` does that needs no GPU: it measures, judges and reports, here with engines of the CPU."""

import json
import threading
from dataclasses import replace

import pytest
import torch

from hierpets.export.parity import Parity
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.registry.loading import load_registry
from tools import gpu_check

EXACT = gpu_check.Row("f32", Parity(400, 400, {"leaf": 1e-4}), 900.0, 2.0, 1000.0, 1200.0, 300.0, True, 80.0)
HALF = replace(EXACT, config="f16", alone=1900.0, overlapped=2400.0)


@pytest.fixture(scope="module")
def predictors(tiny_run):
    registry = load_registry(tiny_run.parent / "registry.yaml")
    return [
        load(tiny_run / "bundle", registry=registry, engine=name, recommend=False) for name in ("torch", "openvino")
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_check_without_a_gpu_says_so_in_one_line(capsys, tmp_path):
    assert gpu_check.main(["--json", str(tmp_path / "g.json")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "finds no CUDA device here; nothing was checked" in err
    assert not (tmp_path / "g.json").exists()


def test_failures_of_rows_that_hold_are_none():
    assert gpu_check.failures([EXACT, HALF]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"parity": Parity(400, 397, {"leaf": 3.0})},
            "f16: top-1 agrees on 397 of 400 photos; largest difference: leaf",
        ),
        ({"unmixed": False}, "f16: batches in flight differ from the same batches alone"),
        ({"overlapped": 1700.0}, "f16: 1700 photos/s with copies overlapped, 1900 without"),
        ({"alone": 900.0, "overlapped": 1100.0}, "f16: 1100 photos/s, no more than 1200 in f32"),
    ],
)
def test_failures_names_each_thing_that_is_wrong(change, told):
    (sentence,) = gpu_check.failures([EXACT, replace(HALF, **change)])
    assert sentence.startswith(told)


def test_measure_takes_engines_as_they_are(predictors):
    reference, other = predictors
    photos = ["demo:cat/siamese/1", "demo:dog/pug/2", "demo:rabbit/-/3"]
    row = gpu_check.measure("openvino", other, reference, photos)
    assert (row.parity.photos, row.parity.same) == (3, 3)
    assert row.unmixed
    assert min(row.first_ms, row.latency_ms, row.alone, row.overlapped, row.stream) > 0


def test_measure_finds_an_engine_that_mixes_batches_up(predictors, monkeypatch):
    reference, _ = predictors
    monkeypatch.setattr(gpu_check, "BATCH", 2)

    class Mixing:
        """Right when it is called by one thread alone; else gives the rows of a batch in another order."""

        workers, batch = 2, 2

        def __call__(self, images):
            alone = threading.current_thread() is threading.main_thread()
            return reference.engine(images if alone else images[::-1].copy())

    row = gpu_check.measure(
        "mixing", Predictor(reference.manifest, Mixing(), model=reference.model), reference, ["demo:dog/pug/2"]
    )
    assert not row.unmixed


@pytest.mark.slow
def test_check_runs_with_the_cpu_in_the_place_of_a_gpu(tiny_run, predictors, monkeypatch, capsys, tmp_path):
    """Speed cannot hold there, so that is what is reported."""

    def on_the_cpu(model, *, device=None, compile=False, **chosen):
        registry = load_registry(tiny_run.parent / "registry.yaml")
        chosen["precision"] = {"f16": "bf16"}.get(chosen["precision"], chosen["precision"])
        return load(model, registry=registry, **{**chosen, "engine": "torch"})

    monkeypatch.setattr(gpu_check, "load", on_the_cpu)
    monkeypatch.setattr(gpu_check, "photos_to_check", lambda data: ["demo:cat/siamese/1", "demo:dog/pug/2"])
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: False)
    code = gpu_check.check(tiny_run / "bundle", None, tmp_path / "g.json")
    out = capsys.readouterr().out
    assert "bf16: skipped, this GPU does not support it" in out
    written = json.loads((tmp_path / "g.json").read_text())
    assert [row["config"] for row in written["rows"]] == ["f32", "f16", "f16 compiled"]
    assert code == (1 if written["failures"] else 0)
    assert out.count("FAILED") == len(written["failures"])


def test_render_has_one_line_per_row():
    lines = gpu_check.render([EXACT, HALF]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split() == ["f16", "400/400", "1.0e-04", "900", "2.00", "1900", "2400", "300", "80"]
