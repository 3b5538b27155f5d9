"""Bulk prediction through a local Ray gives the records of the local path."""

import errno
import json
from pathlib import Path

import cv2
import pytest

from hierpets.cli import main
from hierpets.data.photos import read_photo
from hierpets.errors import DataError
from hierpets.files import cache_dir
from hierpets.inference.options import PredictOptions
from hierpets.inference.output.cluster import unpack_bundle
from hierpets.inference.output.request import RunRequest
from hierpets.model.manifest import model_id

pytest.importorskip("ray")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def ray_here():
    import ray

    # One Ray for the module: it takes seconds to start.
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    for n in range(10):
        picture = read_photo(f"demo:dog/pug/{n}")[..., ::-1]
        cv2.imwrite(str(folder / ("inner" if n % 2 else "") / f"{n}.JPG"), picture)
    (folder / "inner" / "broken.jpg").write_bytes(b"no picture")
    (folder / "inner" / "empty.jpg").write_bytes(b"")
    (folder / "inner" / "notes.txt").write_bytes(b"no photo")
    (folder / "inner" / ".hidden.jpg").write_bytes(b"left out")
    return folder


@pytest.fixture
def predict(tiny_run, capsys):
    def run(*arguments: object) -> tuple[int, str]:
        registry = str(tiny_run.parent / "registry.yaml")
        model = ["--model", str(tiny_run / "bundle"), "--registry", registry]
        with pytest.raises(SystemExit) as caught:
            main(["predict", *model, *map(str, arguments)])
        return caught.value.code or 0, capsys.readouterr().err

    return run


def by_path(rows):
    return sorted(rows, key=lambda row: row["path"])


def without_last_digits(row):
    return json.loads(json.dumps(row), parse_float=lambda number: round(float(number), 4))


def test_predict_on_cluster_gives_the_records_of_one_machine(ray_here, predict, photos, tmp_path, tiny_run):
    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 3
    assert f"{tmp_path / 'far'}: 12 photos, 2 could not be read" in err
    assert predict(photos, "--out", tmp_path / "near.parquet")[0] == 3
    far, near = pq.read_table(tmp_path / "far"), pq.read_table(tmp_path / "near.parquet")
    assert far.schema.equals(near.schema)
    for ours, theirs in zip(by_path(far.to_pylist()), by_path(near.to_pylist()), strict=True):
        for row in (ours, theirs):
            row["recommendation"] = json.loads(row["recommendation"] or "null")
            row["reason"] = None  # holds numbers as text
        assert without_last_digits(ours) == without_last_digits(theirs)
    run = json.loads((tmp_path / "far" / "_run.json").read_text())
    assert run["result"] == {"photos": 12, "unreadable": 2, "failed_recommendations": 0}
    assert run["paths"] == [str(photos)]
    assert run["model"]["digest"] == far["model"][0]["digest"].as_py() == model_id(tiny_run / "bundle").digest
    assert RunRequest.model_validate(run).options == PredictOptions()

    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert f"{tmp_path / 'far'}: is not empty; choose another folder" in err


def test_predict_on_cluster_keeps_the_address_of_a_file_system_in_the_names(ray_here, predict, photos, tmp_path):
    out = (tmp_path / "far").as_uri()
    assert predict((photos / "inner").as_uri() + "/", "--cluster", "local", "--out", out, "--top-k", 1)[0] == 3
    rows = pq.read_table(tmp_path / "far").to_pylist()
    assert len(rows) == 7
    assert all(row["path"] == (photos / "inner" / Path(row["path"]).name).as_uri() for row in rows)
    assert all(len(row["top"]) <= 1 for row in rows)


def test_predict_on_cluster_without_photos_is_an_error_of_one_line(ray_here, predict, tmp_path):
    code, err = predict(tmp_path / "nowhere", "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert "error: " in err
    assert str(tmp_path / "nowhere") in err


def test_predict_on_cluster_counts_recommendations_that_failed(ray_here, tiny_run, photos, tmp_path, capsys):
    registry = tmp_path / "registry.yaml"
    (tmp_path / "touchy.py").write_text("def touchy(case):\n    raise ZeroDivisionError\n")
    registry.write_text("plugins:\n  - {name: touchy, kind: shampoo_rule, entry: 'touchy.py:touchy'}\n")
    out = tmp_path / "far"
    with pytest.raises(SystemExit):
        model = ["--model", str(tiny_run / "bundle"), "--registry", str(registry)]
        main(["predict", *model, str(photos), "--cluster", "local", "--out", str(out)])
    assert "12 photos, 2 could not be read, 10 without a recommendation" in capsys.readouterr().err
    rows = pq.read_table(out).to_pylist()
    assert sum("touchy" in json.loads(row["recommendation"] or "{}").get("error", "") for row in rows) == 10


def test_predict_on_cluster_says_in_one_line_why_a_worker_failed(ray_here, predict, photos, tmp_path):
    bundles = cache_dir() / "bundles"  # workers unpack there; a file in its place is as good as a full disk
    if bundles.exists():
        bundles.rename(bundles.with_name("moved"))
    bundles.write_text("")
    try:
        code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    finally:
        bundles.unlink()
    assert code == 1
    assert err.startswith(f"error: --cluster local: {bundles}")
    assert "the bundle cannot be unpacked" in err
    assert err.count("\n") == 1


def test_unpack_bundle_says_that_the_disk_is_full(monkeypatch, tmp_path):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="the bundle cannot be unpacked: No space left on device"):
        unpack_bundle({"bundle.json": b"{}"}, "0" * 64)
    assert not list((tmp_path / "bundles").iterdir())


def test_unpack_bundle_writes_the_files_once(monkeypatch, tmp_path):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path))
    folder = unpack_bundle({"bundle.json": b"{}", "openvino/model.xml": b"<net/>"}, "1" * 64)
    assert (folder / "openvino" / "model.xml").read_bytes() == b"<net/>"
    assert unpack_bundle({}, "1" * 64) == folder
    assert (folder / "bundle.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cluster", "local"],
        ["--cluster", "local", "--out", "x", "--resume"],
        ["--cluster", "local", "--out", "x", "--format", "csv"],
        ["-", "--cluster", "local", "--out", "x"],
    ],
)
def test_predict_refuses_what_a_cluster_cannot_do(predict, arguments):
    code, err = predict("photos", *arguments)
    assert code == 2
    assert "--cluster reads folders" in err


def test_predict_on_cluster_without_ray_names_the_extra(predict, photos, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert err == "error: --cluster needs the extra: pip install 'hierpets[cluster]'\n"
