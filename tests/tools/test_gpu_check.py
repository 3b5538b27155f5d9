"""What ``tools/gpu_check.py`` does that needs no GPU: it measures, judges and reports, with engines of the CPU."""

import threading
from dataclasses import asdict, replace

import pytest
import torch
from helpers.fakes import tiny_registry

from hierpets.evaluation.run import evaluate
from hierpets.export.parity import Parity
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.registry.loading import load_registry
from hierpets.training.recipe import train
from tools import gpu_check
from tools.gpu import engines, training
from tools.gpu.engines import BATCHES_OF

EXACT = engines.Row("f32", Parity(400, 400, {"leaf": 1e-4}), 900.0, 2.0, 1000.0, 1200.0, 300.0, True, 80.0)
HALF = replace(EXACT, config="f16", alone=1900.0, overlapped=2400.0)


@pytest.fixture(scope="module")
def predictors(tiny_run):
    registry = load_registry(tiny_run.parent / "registry.yaml")
    return [
        load(tiny_run / "bundle", registry=registry, engine=name, recommend=False) for name in ("torch", "openvino")
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_check_without_a_gpu_says_so_in_one_line(capsys, tmp_path):
    assert gpu_check.main(["--page", str(tmp_path / "g.md")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "finds no CUDA device here; nothing was checked" in err
    assert not (tmp_path / "g.md").exists()


def test_failures_of_rows_that_hold_are_none():
    assert engines.failures([EXACT, HALF]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"parity": Parity(400, 397, {"leaf": 3.0})},
            "f16: top-1 agrees on 397 of 400 photos, expected",
        ),
        ({"unmixed": False}, "f16: batches in flight differ from the same batches alone"),
        ({"overlapped": 1700.0}, "f16: 1700 photos/s with copies overlapped, 1900 without"),
        ({"alone": 900.0, "overlapped": 1100.0}, "f16: 1100 photos/s, no more than 1200 in f32"),
    ],
)
def test_failures_names_each_thing_that_is_wrong(change, told):
    (sentence,) = engines.failures([EXACT, replace(HALF, **change)])
    assert sentence.startswith(told)


def test_measure_takes_engines_as_they_are(predictors):
    reference, other = predictors
    photos = ["demo:cat/siamese/1", "demo:dog/pug/2", "demo:rabbit/-/3"]
    row = engines.measure("openvino", other, reference, photos)
    assert (row.parity.photos, row.parity.same) == (3, 3)
    assert row.unmixed
    assert min(row.first_ms, row.latency_ms, row.alone, row.overlapped, row.stream) > 0


def test_measure_finds_an_engine_that_mixes_batches_up(predictors, monkeypatch):
    reference, _ = predictors
    monkeypatch.setattr(engines, "BATCH", 2)

    class Mixing:
        """Right when it is called by one thread alone; else gives the rows of a batch in another order."""

        workers, batch = 2, 2

        def __call__(self, pixels):
            alone = threading.current_thread() is threading.main_thread()
            return reference.engine(pixels if alone else pixels[::-1].copy())

    row = engines.measure(
        "mixing", Predictor(reference.manifest, Mixing(), model=reference.model), reference, ["demo:dog/pug/2"]
    )
    assert not row.unmixed


def found(**changes):
    rows = [{**asdict(row), "parity": row.parity.to_json()} for row in (EXACT, HALF)]
    return (
        gpu_check.blank(None)
        | {
            "engines": {"rows": rows, "by_batch": {"f16": {str(size): 7.0 for size in BATCHES_OF}}},
            "decoding": {"impossible": "torchvision was built without nvJPEG"},
        }
        | changes
    )


def test_render_shows_every_row_and_what_was_not_measured():
    page = gpu_check.render(found())
    assert "| f16 | 400 of 400 | 1.0e-04 | 900 | 2.00 | 1900 | 2400 | 300 | 80 |" in page
    assert "| f16 | 7 | 7 |" in page
    assert "All checks that were run hold." in page
    assert "Not measured: torchvision was built without nvJPEG." in page
    assert "## Compiled\n\nNot measured.\n" in page
    assert page.endswith("## Training\n\nNot measured.\n")


def test_render_shows_the_compiled_network_beside_the_plain_one():
    page = gpu_check.render(found(compiled={"rows": found()["engines"]["rows"]}))
    assert page.count("| f16 | 400 of 400 | 1.0e-04 | 900 | 2.00 | 1900 | 2400 | 300 | 80 |") == 2


def test_render_names_each_failure_and_each_wrong_step():
    step = {"step": "heads, cuda", "seconds": 1.0, "result": "accuracy 3%", "holds": False}
    page = gpu_check.render(found(failures={"engines": ["f16: slow"]}, training={"data": "pets", "steps": [step]}))
    assert "1 checks failed:" in page
    assert "- f16: slow" in page
    assert "| heads, cuda | 1.0 | accuracy 3% (**wrong**) |" in page


class Stopped(Exception):
    pass


def test_check_that_is_stopped_has_written_the_parts_before(tmp_path):
    def stop():
        raise Stopped

    page = tmp_path / "gpu.md"
    engines_found = found()["engines"], ["f16: slow"]
    with pytest.raises(Stopped):
        gpu_check.check({"engines": lambda: engines_found, "decoding": stop}, gpu_check.blank(None), page)
    assert "| f16 | 400 of 400 |" in page.read_text()
    assert "- f16: slow" in page.read_text()
    before = gpu_check.earlier(page, gpu_check.blank(None))
    assert before["engines"] == found()["engines"]
    assert gpu_check.check({"decoding": lambda: (found()["decoding"], [])}, before, page) == 1
    assert "| f16 | 400 of 400 |" in page.read_text()
    assert "built without nvJPEG" in page.read_text()


def test_earlier_numbers_of_another_model_are_not_kept(tmp_path):
    page = tmp_path / "gpu.md"
    gpu_check.check({"engines": lambda: (found()["engines"], [])}, gpu_check.blank(None), page)
    other = gpu_check.blank(tmp_path / "bundle")
    assert gpu_check.earlier(page, other) == other


@pytest.mark.slow
def test_check_training_compares_devices_and_kills_each_run_once(tmp_path, monkeypatch):
    registry, killed = tmp_path / "registry.yaml", []
    tiny_registry(tmp_path)

    def on_the_cpu(**settings):
        try:
            return train(**settings | {"device": "cpu", "registry": registry})
        except training.Killed:
            killed.append(settings["out"].name)
            raise

    monkeypatch.setattr(training, "BACKBONE", "tiny")
    monkeypatch.setattr(training, "PRECISIONS", ("f32",))
    monkeypatch.setattr(training, "train", on_the_cpu)
    monkeypatch.setattr(
        training, "evaluate", lambda bundle, data, device: evaluate(bundle, data, device="cpu", registry=registry)
    )
    steps = list(training.check_training("demo", tmp_path / "runs"))
    assert [step.step for step in steps if not step.holds] == []
    assert len(steps) == 7
    assert killed == ["f32-killed"]


@pytest.mark.slow
def test_by_batch_measures_every_size(predictors, monkeypatch):
    monkeypatch.setattr(engines, "BATCHES_OF", (1, 2))
    monkeypatch.setattr(engines, "PHOTOS_OF", 4)
    assert all(speed > 0 for speed in engines.by_batch(predictors[1]).values())
