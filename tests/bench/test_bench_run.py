import io
import json

import pytest
from rich.console import Console

from hierpets.bench import run
from hierpets.bench.probe import WAYS, probe
from hierpets.bench.run import BackendConfig, Settings, backend_configs, bench, to_json
from hierpets.bench.sample import Sample
from hierpets.bench.stages import STAGES
from hierpets.bench.table import tables
from hierpets.cli import main
from hierpets.errors import DeviceError, HierpetsError, ImageError

FAST, ABSENT = BackendConfig("openvino", "f32"), BackendConfig("openvino", "f16")


def measured(value):
    return {
        "start": {"load": value, "first_answer": value},
        "stages": dict.fromkeys(STAGES, value),
        "latency": dict.fromkeys(["p50", "p95", "p99"], value),
        "rates": {"throughput": value, "decode": value, "network": value},
        "memory": {"peak": value},
        "stream_memory": {"peak": value},
    }


@pytest.fixture
def fake_probes(monkeypatch):
    """Answers of the probes of ``FAST``, round by round; ``ABSENT`` is refused."""
    values, asked = iter([5.0, 1.0, 2.0]), []

    def answer(contestant, sample, settings):
        asked.append(contestant)
        if contestant == ABSENT:
            return {"error": {"type": "DeviceError", "message": "no f16 here"}}
        return measured(next(values))

    monkeypatch.setattr(run, "run_probes", answer)
    return asked


def test_contestants_alternate_and_numbers_are_medians(fake_probes):
    results = bench(Sample(("a.jpg",), "one"), [FAST, ABSENT], Settings(rounds=3))
    assert fake_probes == [FAST, ABSENT, FAST, FAST]  # what is refused once is not asked again
    assert results[0].numbers["rates"]["throughput"] == 2.0
    assert results[1].unavailable == "no f16 here"


def test_tables_say_what_limits_and_what_is_not_there(fake_probes):
    sample, settings = Sample(("a.jpg",), "one"), Settings(rounds=1)
    report = to_json(sample, settings, bench(sample, [FAST, ABSENT], settings))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tables(report))
    told = console.export_text()
    assert report["results"][0]["limit"]["sentence"] in told
    assert "openvino f16: not measured: no f16 here" in told
    assert list(report["results"][1]) == ["engine", "precision", "unavailable"]


def test_nothing_that_can_be_measured_is_an_error_that_says_why(fake_probes):
    with pytest.raises(DeviceError, match="no f16 here"):
        bench(Sample(("a.jpg",), "one"), [ABSENT], Settings(rounds=1))


def test_auto_names_every_engine_and_precision():
    assert set(backend_configs("auto", "f32")) == {FAST, BackendConfig("torch", "f32")}
    assert {c.precision for c in backend_configs("openvino", "auto")} == {"f32", "bf16", "f16", "int8"}


def test_a_process_that_breaks_off_is_an_error(monkeypatch):
    monkeypatch.setattr(run.json, "dumps", lambda job: "not a job")
    with pytest.raises(HierpetsError, match="broke off"):
        run.run_probe(FAST, "single", Sample(("a.jpg",), "one"), Settings())


@pytest.mark.parametrize("way", WAYS)
def test_a_photo_that_cannot_be_read_stops_the_measurement(tiny_run, tmp_path, way):
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    job = {
        "way": way,
        "model": str(tiny_run / "bundle"),
        "registry": str(tiny_run.parent / "registry.yaml"),
        "engine": "openvino",
        "precision": "f32",
        "options": {"device": "cpu"},
        "photos": [str(tmp_path / "bad.jpg")],
        "seconds": 0.01,
        "started": 0.0,
    }
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        probe(job)


def test_the_command_measures_every_number_and_writes_them(tiny_run, tmp_path, capsys):
    file = tmp_path / "bench.json"
    options = [
        "--engine",
        "openvino",
        "--precision",
        "f32",
        "--rounds",
        "1",
        "--seconds",
        "0.05",
        "--photos",
        "4",
        "--json",
        str(file),
    ]
    bundle = ["--model", str(tiny_run / "bundle"), "--registry", str(tiny_run.parent / "registry.yaml")]
    with pytest.raises(SystemExit) as caught:
        main(["bench", *bundle, *options])
    out, err = capsys.readouterr()
    assert not caught.value.code
    assert "4 drawn pets" in err
    report = json.loads(file.read_text())
    (row,) = report["results"]
    numbers = row["start_ms"] | row["stages_ms"] | row["latency_ms"] | row["photos_per_second"]
    assert {"load", "decode", "preprocess", "network", "decision", "recommendation", "p99", "bound"} <= set(numbers)
    assert all(value > 0 for value in [*numbers.values(), *row["peak_memory_mb"].values()])
    assert row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
    assert row["limit"]["sentence"] in " ".join(out.split())
