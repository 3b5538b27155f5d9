"""Bulk prediction through a local Ray gives the records of the local path."""

import json
from pathlib import Path

import cv2
import pytest

from hierpets.cli import main
from hierpets.data.photos import read_photo

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


def test_a_cluster_gives_the_records_of_one_machine(ray_here, predict, photos, tmp_path):
    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 3
    assert f"{tmp_path / 'far'}: 12 photos, 2 of them cannot be read" in err
    assert predict(photos, "--out", tmp_path / "near.parquet")[0] == 3
    far, near = pq.read_table(tmp_path / "far"), pq.read_table(tmp_path / "near.parquet")
    assert far.schema.equals(near.schema)
    for ours, theirs in zip(by_path(far.to_pylist()), by_path(near.to_pylist()), strict=True):
        for row in (ours, theirs):
            row["recommendation"] = json.loads(row["recommendation"] or "null")
            row["reason"] = None  # holds numbers as text
        assert without_last_digits(ours) == without_last_digits(theirs)
    run = json.loads((tmp_path / "far" / "_run.json").read_text())
    assert run["result"] == {"photos": 12, "unreadable": 2}

    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert "holds something already" in err


def test_addresses_of_file_systems_are_kept_in_the_names(ray_here, predict, photos, tmp_path):
    out = (tmp_path / "far").as_uri()
    assert predict((photos / "inner").as_uri() + "/", "--cluster", "local", "--out", out, "--top-k", 1)[0] == 3
    rows = pq.read_table(tmp_path / "far").to_pylist()
    assert len(rows) == 7
    assert all(row["path"] == (photos / "inner" / Path(row["path"]).name).as_uri() for row in rows)
    assert all(len(row["top"]) <= 1 for row in rows)


def test_nothing_to_read_is_an_error_of_one_line(ray_here, predict, tmp_path):
    code, err = predict(tmp_path / "nowhere", "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert "error: " in err
    assert str(tmp_path / "nowhere") in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cluster", "local"],
        ["--cluster", "local", "--out", "x", "--resume"],
        ["--cluster", "local", "--out", "x", "--format", "csv"],
        ["-", "--cluster", "local", "--out", "x"],
    ],
)
def test_what_a_cluster_cannot_do_is_told(predict, arguments):
    code, err = predict("photos", *arguments)
    assert code == 2
    assert "--cluster takes folders" in err


def test_without_ray_the_extra_is_named(predict, photos, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert err == "error: --cluster needs the extra: pip install 'hierpets[cluster]'\n"
