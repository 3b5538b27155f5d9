"""Bulk prediction through a local Ray gives the records of the local path."""

import errno
import json
import tarfile
from pathlib import Path

import cv2
import pytest

from hierpets.bundle.identity import model_id
from hierpets.cli import main
from hierpets.data.photos import read_photo
from hierpets.errors import ConfigError, DataError
from hierpets.files import cache_dir
from hierpets.inference.options import PredictOptions
from hierpets.inference.output.cluster import unpack_bundle
from hierpets.inference.output.cluster_folder import ClusterFolder
from hierpets.inference.output.request import RunRequest

pytest.importorskip("ray")
pa = pytest.importorskip("pyarrow")
pa_fs = pytest.importorskip("pyarrow.fs")
pq = pytest.importorskip("pyarrow.parquet")


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


def test_predict_on_cluster_without_photos_is_an_error_of_one_line(predict, tmp_path):
    (tmp_path / "empty").mkdir()
    code, err = predict(tmp_path / "empty", "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert err == f"error: {tmp_path / 'empty'}: no photos in this folder\n"
    assert not (tmp_path / "far").exists()


@pytest.mark.slow
def test_predict_on_cluster_of_a_shard_and_a_photo_that_is_not_there(ray_here, predict, photos, tmp_path):
    with tarfile.open(tmp_path / "pets.tar", "w") as shard:
        for name in ("0.JPG", "2.JPG"):
            shard.add(photos / name, name)
    given = [tmp_path / "pets.tar", tmp_path / "nowhere.jpg"]
    assert predict(*given, "--cluster", "local", "--out", tmp_path / "far")[0] == 3
    found = {row["path"]: row["error"] for row in pq.read_table(tmp_path / "far").to_pylist()}
    assert set(found) == {*(f"{tmp_path}/pets.tar:{n}.JPG" for n in (0, 2)), str(tmp_path / "nowhere.jpg")}
    assert [path for path, error in found.items() if error] == [str(tmp_path / "nowhere.jpg")]


def test_predict_on_cluster_continues_after_a_killed_driver(ray_here, predict, photos, tmp_path, monkeypatch):
    from hierpets.inference.output import cluster

    far, given = tmp_path / "far", [photos, "--cluster", "local", "--out", tmp_path / "far"]
    monkeypatch.setattr(cluster, "BLOCK", 4)
    monkeypatch.setattr(cluster, "BATCH", 4)
    assert predict(*given)[0] == 3
    whole = by_path(pq.read_table(far).to_pylist())
    first, second, *_ = sorted(far.glob("*.parquet"))
    kept = {row["path"] for file in far.glob("*.parquet") if file != second for row in pq.read_table(file).to_pylist()}
    (far / "_run.json").unlink()  # as if the driver had been killed while the second file was written
    second.write_bytes(second.read_bytes()[:-100])
    code, err = predict(*given)
    assert code == 1
    assert "--resume continues what was begun there" in err
    assert predict(*given, "--top-k", 1, "--resume")[1].startswith(f"error: {far}: started with top_k 3, now 1")
    asked = []
    monkeypatch.setattr(cluster, "_blocks", watched(cluster._blocks, asked))
    code, err = predict(*given, "--resume")
    assert code == 3
    assert f"{far}: 12 photos, 2 could not be read" in err
    assert set(asked) == {row["path"] for row in whole} - kept
    assert by_path(pq.read_table(far).to_pylist()) == whole
    assert predict(*given, "--resume") == (3, f"{far}: 12 photos, 2 could not be read\n")
    assert first.exists()

    (photos / "z.jpg").write_bytes((photos / "0.JPG").read_bytes())
    with monkeypatch.context() as broken:
        broken.setattr(cluster, "_run", lambda *_: (_ for _ in ()).throw(DataError("stopped")))
        assert predict(*given, "--resume")[0] == 1
    assert not (far / "_run.json").exists(), "it is whole no more"
    assert predict(*given, "--resume") == (3, f"{far}: 13 photos, 2 could not be read\n")
    assert asked[len(whole) - len(kept) :] == [str(photos / "z.jpg")]


def watched(blocks, asked):
    def blocks_seen(photos):
        names = list(photos)
        asked.extend(names)
        return blocks(names)

    return blocks_seen


def test_predict_on_cluster_says_what_to_do_when_the_disk_is_full(ray_here, predict, photos, tmp_path, monkeypatch):
    from hierpets.inference.output import cluster

    def full(*_):
        raise cluster.require_ray().exceptions.RayTaskError(
            "write", "OSError: [Errno 28] No space left on device", None
        )

    monkeypatch.setattr(cluster, "_run", full)
    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert "No space left on device; what is finished is kept: mend this, then continue with resume" in err


@pytest.mark.slow
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
    try:  # with options of its own: for others, a worker that has its bundle may have been kept
        code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far", "--top-k", 2)
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
        ["--cluster", "local", "--out", "x", "--overwrite"],
        ["--cluster", "local", "--out", "x", "--format", "csv"],
        ["-", "--cluster", "local", "--out", "x"],
    ],
)
def test_predict_refuses_what_a_cluster_cannot_do(predict, arguments):
    code, err = predict("photos", *arguments)
    assert code == 2
    assert "--cluster needs --out DIR" in err


class TestClusterFolder:
    """What is there is trusted, told or deleted by what it is."""

    @pytest.fixture
    def folder(self, tmp_path):
        pq.write_table(pa.table({"path": ["a.jpg"]}), tmp_path / "1.parquet")
        return tmp_path

    def test_a_file_that_was_cut_off_is_deleted(self, folder):
        whole = (folder / "1.parquet").read_bytes()
        for number, size in enumerate((0, 3, len(whole) // 2, len(whole) - 1)):
            (folder / f"cut-{number}.parquet").write_bytes(whole[:size])
        assert ClusterFolder.of(str(folder)).recorded().holds("a.jpg")
        assert [file.name for file in folder.iterdir()] == ["1.parquet"]

    def test_a_file_that_cannot_be_read_is_kept(self, folder):
        with pytest.raises(DataError, match="cannot be read: Input/output error; mend this and rerun with --resume"):
            ClusterFolder(str(folder), Failing(), str(folder)).recorded()
        assert (folder / "1.parquet").exists()

    def test_a_file_of_something_else_is_kept(self, folder):
        pq.write_table(pa.table({"name": ["a"]}), folder / "2.parquet")
        with pytest.raises(ConfigError, match=r"2\.parquet: not written by this version"):
            ClusterFolder.of(str(folder)).recorded()
        assert (folder / "2.parquet").exists()

    def test_a_folder_that_cannot_be_listed_is_one_line(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match=r"file: cannot be read: .*; mend this and rerun with --resume"):
            ClusterFolder.of(str(tmp_path / "file")).recorded()

    def test_a_folder_that_is_gone_at_the_end_is_one_line(self, tmp_path):
        request = RunRequest.model_construct()
        with pytest.raises(DataError, match=r"gone: cannot be read: .*; mend this and rerun with --resume"):
            ClusterFolder.of(str(tmp_path / "gone")).finish(request)


class Failing(pa_fs.LocalFileSystem):
    """Its files can be listed and not read."""

    def open_input_file(self, path):
        raise OSError(errno.EIO, "Input/output error")

    open_input_stream = open_input_file


def test_predict_on_cluster_without_ray_names_the_extra(predict, photos, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    code, err = predict(photos, "--cluster", "local", "--out", tmp_path / "far")
    assert code == 1
    assert err == "error: --cluster needs ray, which is not installed: pip install 'hierpets[cluster]'\n"
