import io
import json
import shutil
import sys

import pytest
from rich.console import Console

from hierpets.bench import run
from hierpets.bench.probe import MODES, probe
from hierpets.bench.run import BackendConfig, BenchSettings, backend_configs, bench, measure, to_report
from hierpets.bench.sample import PhotoSample
from hierpets.bench.stages import STAGES
from hierpets.bench.table import tables
from hierpets.cli import main
from hierpets.errors import BundleError, ConfigError, DeviceError, HierpetsError, ImageError
from hierpets.inference.engines.base import EngineOptions

FAST, ABSENT = BackendConfig("openvino", "f32"), BackendConfig("openvino", "f16")


def measured(value):
    return {
        "start": {"load": value, "first_answer": value},
        "stages": dict.fromkeys(STAGES, value),
        "latency": dict.fromkeys(["p50", "p95", "p99"], value),
        "rates": {"throughput": value, "decode": value, "network": value, "recommendation": value},
        "memory": {"peak": value},
        "stream_memory": {"peak": value},
    }


@pytest.fixture
def fake_probes(monkeypatch):
    """Answers of the probes of ``FAST``, round by round; ``ABSENT`` is refused."""
    values, asked = iter([5.0, 1.0, 2.0]), []

    def answer(config, sample, settings):
        asked.append(config)
        if config == ABSENT:
            return {"error": {"type": "DeviceError", "message": "no f16 here"}}
        return measured(next(values))

    monkeypatch.setattr(run, "run_probes", answer)
    return asked


def test_measure_alternates_between_configs_and_takes_medians(fake_probes):
    results = measure(PhotoSample(("a.jpg",), "one"), [FAST, ABSENT], BenchSettings(rounds=3))
    assert fake_probes == [FAST, ABSENT, FAST, FAST]  # what is refused once is not asked again
    assert results[0].numbers["rates"]["throughput"] == 2.0
    assert results[1].unavailable == "no f16 here"


def test_tables_say_what_limits_and_what_is_not_there(fake_probes):
    sample, settings = PhotoSample(("a.jpg",), "one"), BenchSettings(rounds=1)
    report = to_report(sample, settings, measure(sample, [FAST, ABSENT], settings))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tables(report))
    told = console.export_text()
    assert report["results"][0]["limit"]["sentence"] in told
    assert "openvino f16: not measured: no f16 here" in told
    assert list(report["results"][1]) == ["engine", "precision", "unavailable"]


def test_tables_have_a_heading_for_every_column(fake_probes):
    sample, settings = PhotoSample(("a.jpg",), "one"), BenchSettings(rounds=1)
    report = to_report(sample, settings, measure(sample, [FAST], settings))
    for table in (part for part in tables(report).renderables if hasattr(part, "columns")):
        assert all(str(column.header).strip() for column in table.columns)


def test_bench_checks_the_json_file_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    settings = BenchSettings(model=tmp_path / "no bundle", data=str(tmp_path / "no photos"))
    with pytest.raises(ConfigError, match="cannot be written"):
        bench(settings, json_file=tmp_path / "file" / "bench.json")


def test_bench_keeps_a_file_and_looks_for_the_bundle_before_the_work(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    settings = BenchSettings(model=tmp_path / "no bundle", data=str(tmp_path / "no photos"))
    with pytest.raises(ConfigError, match="already exists; give overwrite"):
        bench(settings, json_file=tmp_path / "photo.jpg")
    with pytest.raises(BundleError, match="no bundle"):
        bench(settings, json_file=tmp_path / "photo.jpg", overwrite=True)
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"


def test_measure_refuses_when_nothing_can_be_measured(fake_probes):
    with pytest.raises(DeviceError, match="no f16 here"):
        measure(PhotoSample(("a.jpg",), "one"), [ABSENT], BenchSettings(rounds=1))


def test_backend_configs_of_auto_are_all_engines_and_precisions():
    assert set(backend_configs("auto", "f32")) == {FAST, BackendConfig("torch", "f32")}
    assert {c.precision for c in backend_configs("openvino", "auto")} == {"f32", "bf16", "f16", "int8"}


@pytest.mark.parametrize(
    ("able", "precision", "measured"), [(["FP32"], "auto", 1), (["FP32"], "bf16", 2), (["BF16"], "auto", 2)]
)
def test_measure_leaves_out_what_torch_would_imitate_unless_it_is_asked_for(
    fake_probes, monkeypatch, able, precision, measured
):
    monkeypatch.setattr("hierpets.inference.engines.openvino.capabilities", lambda: able)
    settings = BenchSettings(rounds=1, engine=EngineOptions(device="cpu", precision=precision))
    results = measure(PhotoSample(("a.jpg",), "one"), [FAST, BackendConfig("torch", "bf16")], settings)
    assert sum(result.unavailable is None for result in results) == measured


def test_run_probe_reports_a_process_that_dies(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(HierpetsError, match="measuring openvino f32 failed"):
        run.run_probe(FAST, "single", PhotoSample(("a.jpg",), "one"), BenchSettings())


@pytest.mark.parametrize("mode", MODES)
def test_probe_refuses_a_photo_that_cannot_be_read(tiny_run, tmp_path, mode):
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    job = {
        "mode": mode,
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


def test_bench_command_measures_every_number_and_writes_them(tiny_run, tmp_path, capsys):
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
    assert "4 synthetic JPEG images" in err
    report = json.loads(file.read_text())
    (row,) = report["results"]
    numbers = row["start_ms"] | row["stages_ms"] | row["latency_ms"] | row["photos_per_second"]
    assert {"load", "decode", "preprocess", "network", "decision", "recommendation", "p99", "bound"} <= set(numbers)
    assert all(value > 0 for value in [*numbers.values(), *row["peak_memory_mb"].values()])
    assert row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
    assert row["limit"]["sentence"] in " ".join(out.split())
