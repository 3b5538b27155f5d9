"""``hierpets predict --out``: answers to any number of photos in a file that a kill does not harm."""

import csv
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import pyarrow.parquet as pq
import pytest
from helpers.systems import needs_byte_names, needs_links, needs_locks, needs_odd_names

from hierpets.cli import main
from hierpets.data.photos import read_photo
from hierpets.errors import PluginError
from hierpets.inference.output import resumable
from hierpets.inference.output.lines import JsonlWriter
from hierpets.inference.output.resumable import WRITERS

FORMATS = ["jsonl", "csv", "parquet"]
DRAWN = ["demo:cat/siamese/1", "demo:dog/pug/2", "demo:rabbit/-/3", "demo:dog/dalmatian/4"]


def fill(folder: Path, count: int, *, unreadable: int | None = None) -> Path:
    """So many photos in three folders; ``unreadable`` is the number of one that is no picture."""
    pictures = [cv2.imencode(".jpg", cv2.resize(read_photo(d), (64, 64))[..., ::-1])[1].tobytes() for d in DRAWN]
    for n in range(count):
        path = folder / f"part {n % 3}" / f"{n:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture" if n == unreadable else pictures[n % len(pictures)])
    return folder


def records(path: Path) -> list:
    """What a file holds, of whichever format."""
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".csv":
            with path.open(newline="") as file:
                return list(csv.DictReader(file))
        case _:
            return pq.read_table(path).to_pylist()


@pytest.fixture
def predict(tiny_run, capsys):
    """Run ``hierpets predict`` and return exit code and standard error."""

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["predict", *model(tiny_run), *map(str, arguments)])
        return caught.value.code or 0, capsys.readouterr().err

    return run


def model(tiny_run: Path) -> list[str]:
    return ["--model", str(tiny_run / "bundle"), "--registry", str(tiny_run.parent / "registry.yaml")]


def started(tiny_run: Path, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "hierpets", "predict", *model(tiny_run), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_bytes(part: Path, least: int, process: subprocess.Popen) -> None:
    """Until a file, or the files of a folder, hold so many bytes."""

    def size() -> int:
        files = part.glob("*.rows") if part.is_dir() else [part] if part.exists() else []
        return sum(file.stat().st_size for file in files)

    while process.poll() is None and size() < least:
        time.sleep(0.002)


@pytest.mark.parametrize("form", FORMATS)
def test_write_predictions_gives_a_record_a_photo_in_order(predict, tmp_path, form):
    photos = fill(tmp_path / "photos", 40, unreadable=21)
    out = tmp_path / f"answers.{form}"
    code, err = predict(photos, "--out", out)
    assert code == 3
    assert f"{out}: 40 photos, 1 could not be read" in err
    rows = records(out)
    assert [row["path"] for row in rows] == [str(path) for path in sorted(photos.rglob("*.jpg"))]
    assert [bool(row["error"]) for row in rows] == ["00021" in row["path"] for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"{out.name}.run.json", "photos"]
    assert json.loads((tmp_path / f"{out.name}.run.json").read_text())["result"] == {
        "photos": 40,
        "unreadable": 1,
        "failed_recommendations": 0,
    }


def test_write_predictions_says_the_same_in_three_formats(predict, tmp_path):
    photos = fill(tmp_path / "photos", 12, unreadable=3)
    for form in FORMATS:
        predict(photos, "--out", tmp_path / f"answers.{form}")
    lines, rows, table = (records(tmp_path / f"answers.{form}") for form in FORMATS)
    for record, row, columns in zip(lines, rows, table, strict=True):
        product = columns.pop("product")
        advice = columns.pop("recommendation")
        assert {**columns, "recommendation": json.loads(advice) if advice else None} == record
        assert (product or "") == row["product"] == ((record["recommendation"] or {}).get("product") or "")
        assert (record["level"] or "") == row["level"]


def test_write_predictions_says_what_standard_output_says(predict, tiny_run, tmp_path, capsys):
    predict(*DRAWN, "--out", tmp_path / "answers.jsonl")
    with pytest.raises(SystemExit):
        main(["predict", *model(tiny_run), "--format", "jsonl", *DRAWN])
    assert capsys.readouterr().out == (tmp_path / "answers.jsonl").read_text()


def test_write_predictions_of_one_photo(predict, tmp_path):
    assert predict(DRAWN[0], "--out", tmp_path / "a.csv")[0] == 0
    assert [row["path"] for row in records(tmp_path / "a.csv")] == DRAWN[:1]


def test_write_predictions_takes_paths_from_standard_input(predict, tmp_path, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(DRAWN * 20).encode())))
    assert predict("-", "--out", tmp_path / "a.jsonl")[0] == 0
    assert [record["path"] for record in records(tmp_path / "a.jsonl")] == DRAWN * 20


@pytest.mark.parametrize("form", FORMATS)
def test_write_predictions_of_no_paths_is_a_whole_file(predict, tmp_path, monkeypatch, form):
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert predict("-", "--out", tmp_path / f"a.{form}")[0] == 0
    assert records(tmp_path / f"a.{form}") == []


def test_write_predictions_tells_an_empty_folder_before_writing(predict, tmp_path):
    (tmp_path / "photos").mkdir()
    code, err = predict(DRAWN[0], tmp_path / "photos", "--out", tmp_path / "a.jsonl")
    assert (code, err) == (1, f"error: {tmp_path / 'photos'}: no photos in this folder\n")
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume"], "set it with --out"),
        (["--format", "parquet"], "Parquet is binary; it needs --out FILE"),
        (["--out", "answers.txt"], "choose --format jsonl, csv or parquet"),
        (["--out", "answers.jsonl", "--format", "json"], "choose --format jsonl, csv or parquet"),
    ],
)
def test_predict_refuses_options_that_make_no_sense(predict, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, err = predict(DRAWN[0], *arguments)
    assert code == 2
    assert told in err
    assert not list(tmp_path.iterdir())


def test_write_predictions_makes_the_folder_and_takes_none_for_the_file(predict, tmp_path):
    out = tmp_path / "deep" / "er" / "a.csv"
    assert predict(DRAWN[0], "--out", out)[0] == 0
    assert out.is_file()
    code, err = predict(DRAWN[0], "--out", out.parent, "--format", "csv", "--overwrite")
    assert (code, err) == (1, f"error: {out.parent}: is a folder; expected the name of a file\n")


def test_write_predictions_refuses_a_whole_file_that_resume_leaves_as_it_is(predict, tmp_path):
    out = tmp_path / "a.jsonl"
    predict(DRAWN[0], "--out", out)
    before = out.read_bytes()
    code, err = predict(DRAWN[0], "--out", out)
    assert (code, err) == (1, f"error: {out}: already exists; use --overwrite, choose another --out, or delete it\n")
    assert predict(DRAWN[0], "--out", out, "--resume") == (0, f"{out}: 1 photo\n")
    code, err = predict(DRAWN[1], "--out", out, "--resume")
    assert code == 1
    assert "started with paths" in err
    assert out.read_bytes() == before


def stopped(out: Path, rows: int) -> None:
    """Make of a whole file one that was stopped after so many records; for JSONL."""
    whole = out.read_bytes().splitlines(keepends=True)
    out.with_name(out.name + ".part").write_bytes(b"".join(whole[:rows]) + whole[rows][: len(whole[rows]) // 2])
    out.unlink()


def test_write_predictions_resumes_after_a_torn_line(predict, tmp_path):
    photos, out = fill(tmp_path / "photos", 12, unreadable=0), tmp_path / "a.jsonl"
    predict(photos, "--out", out)
    whole = out.read_bytes()
    stopped(out, 5)
    code, err = predict(photos, "--out", out)
    assert code == 1
    assert "--resume continues it" in err
    code, err = predict(photos, "--out", out, "--resume")
    assert code == 3, "the photo that cannot be read was answered by the first run, and still counts"
    assert "photos: continuing after 5" in err
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--top-k", "2"], "started with top_k 3, now 2"),
        (["--only", "cat"], "started with only []"),
        (["--alpha", "0.2"], "started with alpha null, now 0.2"),
        (["--format", "csv"], 'started with format "jsonl"'),
    ],
)
def test_run_request_refuses_other_options(predict, tmp_path, arguments, told):
    photos, out = fill(tmp_path / "photos", 6), tmp_path / "a.jsonl"
    predict(photos, "--out", out)
    stopped(out, 3)
    part = out.with_name("a.jsonl.part")
    before = part.read_bytes()
    code, err = predict(photos, "--out", out, "--resume", *arguments)
    assert code == 1
    assert told in err
    assert err.count("\n") == 1
    assert part.read_bytes() == before


def test_run_request_refuses_another_model(predict, tiny_run, tmp_path, capsys):
    out = tmp_path / "a.jsonl"
    predict(*DRAWN, "--out", out)
    stopped(out, 2)
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--registry", str(tiny_run.parent / "registry.yaml"), *DRAWN, "--out", str(out), "--resume"])
    assert caught.value.code == 1
    assert "started with" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["rule.py", "options", "breeds.yaml", "products.yaml"])
def test_run_request_refuses_other_shampoo_rules(tmp_path, change):
    from hierpets.recommend.digest import rules_digest
    from hierpets.recommend.loading import FOLDER
    from hierpets.registry.loading import bundled_registry, load_registry

    shop, registry = tmp_path / FOLDER, tmp_path / "registry.yaml"
    shop.mkdir(parents=True)
    registry.write_text("plugins:\n  - {name: mine, kind: shampoo_rule, entry: 'plugins/shampoo/rule.py:mine'}\n")
    (shop / "rule.py").write_text("def mine(case, strength=1.0):\n    return ()\n")
    (shop / "breeds.yaml").write_bytes((bundled_registry().parent / FOLDER / "breeds.yaml").read_bytes())
    before = rules_digest(load_registry(registry))
    assert rules_digest(load_registry(registry)) == before
    if change == "options":
        registry.write_text(registry.read_text().replace("mine'}", "mine', options: {strength: 2.0}}"))
    elif change == "products.yaml":
        (shop / change).write_bytes((bundled_registry().parent / FOLDER / change).read_bytes())
    else:
        (shop / change).write_text((shop / change).read_text() + "\n")
    assert rules_digest(load_registry(registry)) != before


def test_run_request_refuses_to_mix_recommendations(predict, tmp_path, monkeypatch):
    out = tmp_path / "a.jsonl"
    predict(*DRAWN, "--out", out)
    stopped(out, 2)
    monkeypatch.setattr("hierpets.inference.output.request.rules_digest", lambda registry: "0" * 16)
    code, err = predict(*DRAWN, "--out", out, "--resume")
    assert code == 1
    assert "started with shampoo_rules" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("change", ["added", "removed"])
def test_write_predictions_refuses_a_folder_that_changed(predict, tmp_path, change):
    photos, out = fill(tmp_path / "photos", 9), tmp_path / "a.jsonl"
    predict(photos, "--out", out)
    stopped(out, 5)
    if change == "added":
        (photos / "part 0" / "00001.jpg").write_bytes((photos / "part 0" / "00000.jpg").read_bytes())
    else:
        (photos / "part 0" / "00000.jpg").unlink()
    code, err = predict(photos, "--out", out, "--resume")
    assert code == 1
    assert "photos were added or removed;" in err
    assert not out.exists()


@pytest.fixture
def pipe(predict, monkeypatch):
    """Run ``hierpets predict -`` with these paths on standard input."""
    import io

    def run(paths: list[str], *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(paths).encode())))
        return predict("-", *arguments)

    return run


@pytest.mark.parametrize("form", FORMATS)
def test_write_predictions_adds_to_a_whole_file_what_comes_behind(pipe, tmp_path, form):
    missing, out = str(tmp_path / "missing.jpg"), tmp_path / f"a.{form}"
    assert pipe([missing, DRAWN[0]], "--out", out)[0] == 3
    code, err = pipe([missing, *DRAWN], "--out", out, "--resume")
    assert code == 3
    assert f"{out}: 5 photos, 1 could not be read" in err
    assert pipe([missing, *DRAWN], "--out", tmp_path / f"b.{form}")[0] == 3
    assert records(out) == records(tmp_path / f"b.{form}")
    assert sorted(path.name for path in tmp_path.glob("a.*")) == [out.name, f"{out.name}.run.json"]
    before = out.read_bytes()
    assert pipe([missing, *DRAWN], "--out", out, "--resume")[0] == 3
    assert out.read_bytes() == before


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("piped", [DRAWN[2:], DRAWN[:1], [*DRAWN[1:], DRAWN[0]]])
def test_write_predictions_refuses_other_photos_than_a_whole_file_holds(pipe, tmp_path, form, piped):
    out = tmp_path / f"a.{form}"
    pipe(DRAWN[:2], "--out", out)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, err = pipe(piped, "--out", out, "--resume")
    assert code == 1
    assert "photos were added or removed;" in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("moment", ["reopen", "write_file", "write"])
def test_write_predictions_loses_nothing_where_adding_is_interrupted(pipe, tmp_path, monkeypatch, form, moment):
    out, writer = tmp_path / f"a.{form}", WRITERS[form]
    pipe(DRAWN[:2], "--out", out)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(resumable if moment == "write_file" else writer, moment, stop)
        assert pipe(DRAWN, "--out", out, "--resume")[0] == 130
    assert pipe(DRAWN, "--out", out, "--resume")[0] == 0
    assert [record["path"] for record in records(out)] == DRAWN
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"{out.name}.run.json"]


def test_write_predictions_adds_to_a_table_beside_what_a_kill_left_of_its_parts(pipe, tmp_path):
    out = tmp_path / "a.parquet"
    pipe(DRAWN[:2], "--out", out)
    writer = WRITERS["parquet"](out.with_name("a.parquet.part"))
    for number in range(2):
        writer.reopen(shutil.copy(out, tmp_path / "copy"))
        (writer.path / "00000000.rows").rename(writer.path / f"0000000{number}.rows")
    writer.close()
    assert pipe(DRAWN, "--out", out, "--resume")[0] == 0
    assert [record["path"] for record in records(out)] == DRAWN


@pytest.mark.parametrize("moved", [False, True])
def test_write_predictions_adds_to_no_file_that_another_process_went_on_with(pipe, tmp_path, monkeypatch, moved):
    out = tmp_path / "a.jsonl"
    pipe(DRAWN[:2], "--out", out)
    opened = resumable._opened

    def overtaken(form, part, *, fresh):
        out.unlink() if moved else out.write_bytes(out.read_bytes() * 2)
        return opened(form, part, fresh=fresh)

    monkeypatch.setattr(resumable, "_opened", overtaken)
    code, err = pipe(DRAWN, "--out", out, "--resume")
    assert code == 1
    assert "another process has just finished or deleted it" in err


def test_write_predictions_adds_to_no_file_that_was_cut(pipe, tmp_path):
    out = tmp_path / "a.jsonl"
    pipe(DRAWN[:3], "--out", out)
    cut = out.read_bytes()[:-20]
    out.write_bytes(cut)
    code, err = pipe(DRAWN, "--out", out, "--resume")
    assert (code, out.read_bytes()) == (1, cut)
    assert "holds 2 photos, 3 when it was complete; use --overwrite" in err


def test_write_predictions_says_what_is_wrong_with_a_file_of_settings_once(pipe, tmp_path):
    pipe(DRAWN[:1], "--out", tmp_path / "a.csv")
    settings = tmp_path / "a.csv.run.json"
    settings.unlink()
    wrong = "cannot be read, so --resume cannot check the options: No such file or directory; use --overwrite"
    assert f"{settings}: {wrong}" in pipe(DRAWN[:1], "--out", tmp_path / "a.csv", "--resume")[1]


def test_write_predictions_beside_the_photos_is_resumed_and_is_no_table_of_photos(predict, tmp_path, monkeypatch):
    photos = fill(tmp_path / "photos", 6)
    out = photos / "a.parquet"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(WRITERS["parquet"], "finish", stop)
        assert predict(photos, "--out", out)[0] == 130
    for _ in range(2):
        code, err = predict(photos, "--out", out, "--resume")
        assert (code, err.endswith(f"{out}: 6 photos\n")) == (0, True), err
    assert predict(photos, "--out", tmp_path / "a.jsonl")[0] == 0
    assert [record["path"] for record in records(tmp_path / "a.jsonl")] == [row["path"] for row in records(out)]


def test_write_predictions_takes_photos_added_behind(predict, tmp_path):
    photos, out = fill(tmp_path / "photos", 9), tmp_path / "a.jsonl"
    predict(photos, "--out", out)
    stopped(out, 5)
    (photos / "part 2" / "99999.jpg").write_bytes((photos / "part 0" / "00000.jpg").read_bytes())
    assert predict(photos, "--out", out, "--resume")[0] == 0
    assert len(records(out)) == 10


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("left", ["whole", "begun"])
def test_write_predictions_overwrites_what_is_there(predict, tmp_path, form, left):
    out = tmp_path / f"a.{form}"
    predict(*DRAWN, "--out", out)
    if left == "begun":
        part = out.with_name(out.name + ".part")
        out.unlink() if form == "parquet" else out.rename(part)
        part.mkdir() if form == "parquet" else None
    assert predict(DRAWN[1], "--out", out, "--overwrite")[0] == 0
    assert [record["path"] for record in records(out)] == DRAWN[1:2]
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"{out.name}.run.json"]


def test_write_predictions_overwrites_where_no_open_file_can_be_deleted(predict, tmp_path, monkeypatch):
    """As on Windows."""
    out, opened, unlink = tmp_path / "a.jsonl", [], Path.unlink

    class Writer(JsonlWriter):
        def __init__(self, path):
            super().__init__(path)
            opened.append(self)

    def refuse_open(path, missing_ok=False):
        if any(writer.path == path and not writer._file.closed for writer in opened):
            raise PermissionError(errno.EACCES, "it is being used by another process", str(path))
        unlink(path, missing_ok)

    (tmp_path / "a.jsonl.part").touch()
    monkeypatch.setitem(WRITERS, "jsonl", Writer)
    monkeypatch.setattr(resumable, "os", SimpleNamespace(name="nt"))
    monkeypatch.setattr(Path, "unlink", refuse_open)
    assert predict(DRAWN[1], "--out", out, "--overwrite")[0] == 0
    assert [record["path"] for record in records(out)] == DRAWN[1:2]


def test_write_predictions_blames_no_file_for_what_reading_a_photo_raises(predict, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("hierpets.inference.engines.cascade.read_photo", fail)
    code, err = predict(DRAWN[0], "--out", tmp_path / "a.jsonl")
    assert code == 3
    assert "cannot be written" not in err
    (record,) = records(tmp_path / "a.jsonl")
    assert "unexpected OSError" in record["error"]["message"]


@pytest.mark.parametrize("form", FORMATS)
def test_write_predictions_counts_recommendations_that_failed(tiny_run, tmp_path, monkeypatch, form):
    from hierpets.inference.loading import load
    from hierpets.inference.output.resumable import write_predictions
    from hierpets.recommend.choose import Recommender
    from hierpets.registry.loading import load_registry

    def fail(*args, **kwargs):
        raise PluginError("the rule is broken")

    monkeypatch.setattr(Recommender, "recommend", fail)
    registry = load_registry(tiny_run.parent / "registry.yaml")
    predictor = load(tiny_run / "bundle", registry=registry)
    out = tmp_path / f"a.{form}"

    def progress(task, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(out, predictor, DRAWN, form=form, registry=registry, progress=progress)
    totals = write_predictions(out, predictor, DRAWN, form=form, registry=registry, resume=True)
    assert (totals.photos, totals.unreadable, totals.failed_recommendations) == (4, 0, 4)
    match form:
        case "csv":
            told = [record["product_error"] for record in records(out)]
        case "parquet":
            told = [json.loads(record["recommendation"])["error"] for record in records(out)]
        case _:
            told = [record["recommendation"]["error"] for record in records(out)]
    assert told == ["the rule is broken"] * 4


def test_write_predictions_resumes_from_nothing(predict, tmp_path):
    assert predict(*DRAWN, "--out", tmp_path / "a.csv", "--resume")[0] == 0
    assert len(records(tmp_path / "a.csv")) == 4


@needs_byte_names
def test_write_predictions_keeps_odd_file_names(predict, tmp_path):
    photos = tmp_path / "photos"
    fill(photos, 1)
    source = (photos / "part 0" / "00000.jpg").read_bytes()
    names = [b"a,b.jpg", b'quo"te.jpg', b"two\nlines.jpg", "hällo.jpg".encode(), b"not-utf8-\xff.jpg"]
    names.append(b"carriage\rreturn.jpg")
    for name in names:
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).write_bytes(source)
    for form in FORMATS:
        assert predict(photos, "--out", tmp_path / f"a.{form}")[0] == 0
    assert len(records(tmp_path / "a.jsonl")) == len(records(tmp_path / "a.parquet")) == 7
    part = tmp_path / "a.csv.part"
    (tmp_path / "a.csv").rename(part)
    assert predict(photos, "--out", tmp_path / "a.csv", "--resume")[0] == 0
    whole = (tmp_path / "a.csv").read_bytes()
    assert whole.count(b".jpg") == 7
    assert b"not-utf8-\xff.jpg" in whole


def test_write_predictions_tells_a_full_disk_and_keeps_what_is_done(predict, tmp_path, monkeypatch):
    from hierpets.inference.output.lines import LinesWriter

    write, out = LinesWriter.write, tmp_path / "a.jsonl"

    def until_full(part, prediction):
        if prediction.path == DRAWN[2]:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(part, prediction)

    with monkeypatch.context() as full:
        full.setattr(LinesWriter, "write", until_full)
        code, err = predict(*DRAWN, "--out", out)
    assert code == 1
    assert "cannot be written: No space left on device; fix this and rerun with --resume" in err
    assert predict(*DRAWN, "--out", out, "--resume")[0] == 0
    assert [record["path"] for record in records(out)] == DRAWN


def test_write_predictions_refuses_a_part_of_something_else(predict, tmp_path):
    out = tmp_path / "a.jsonl"
    predict(*DRAWN, "--out", out)
    out.rename(tmp_path / "a.jsonl.part")
    with (tmp_path / "a.jsonl.part").open("r+") as part:
        part.write("no record")
    code, err = predict(*DRAWN, "--out", out, "--resume")
    assert code == 1
    assert "expected hierpets records, found another line" in err


@needs_locks
def test_write_predictions_in_two_processes_refuses_the_second(predict, tiny_run, tmp_path):
    photos, out = fill(tmp_path / "photos", 120), tmp_path / "a.jsonl"
    process = started(tiny_run, photos, "--out", out)
    part = tmp_path / "a.jsonl.part"
    wait_for_bytes(part, 1000, process)
    process.send_signal(signal.SIGSTOP)  # or it may be done before the other has looked
    for arguments in ([], ["--resume"], ["--overwrite"], ["--overwrite", "--format", "parquet"]):
        code, err = predict(photos, "--out", out, *arguments)
        assert code == 1
        assert "another process is writing it" in err
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted: {part} holds the finished records; rerun with --resume to continue" in err
    assert not out.exists()
    assert predict(photos, "--out", out, "--resume")[0] == 0
    assert [r["path"] for r in records(out)] == [str(p) for p in sorted(photos.rglob("*.jpg"))]


def kill_and_resume(tiny_run: Path, predict: Callable, tmp_path: Path, form: str, *, photos: int, kills: int) -> None:
    """Kill a run at random moments, then compare what is there in the end with a run that nobody disturbed."""
    folder = fill(tmp_path / "photos", photos, unreadable=photos // 2)
    out, whole = tmp_path / f"killed.{form}", tmp_path / f"whole.{form}"
    assert predict(folder, "--out", whole)[0] == 3
    size, dice, struck = whole.stat().st_size, random.Random(form), 0
    for moment in sorted(dice.uniform(0, 0.8) for _ in range(kills)):
        process = started(tiny_run, folder, "--out", out, "--resume")
        wait_for_bytes(out.with_name(out.name + ".part"), int(moment * size), process)
        time.sleep(dice.uniform(0, 0.02))
        process.kill()
        process.communicate()
        struck += process.returncode == -signal.SIGKILL and not out.exists()
    assert struck > kills / 2, "most kills came before the end"
    code, err = predict(folder, "--out", out, "--resume")
    assert code == 3, err
    assert records(out) == records(whole)
    assert [r["path"] for r in records(out)] == [str(p) for p in sorted(folder.rglob("*.jpg"))]
    if form != "parquet":
        assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("form", [FORMATS[0], *(pytest.param(form, marks=pytest.mark.slow) for form in FORMATS[1:])])
def test_write_predictions_loses_and_repeats_nothing_after_a_kill(tiny_run, predict, tmp_path, form):
    # Parquet is written in parts, the first of which would be the last of few photos.
    kill_and_resume(tiny_run, predict, tmp_path, form, photos=1200 if form == "parquet" else 160, kills=1)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_write_predictions_survives_ten_kills(tiny_run, predict, tmp_path, form):
    kill_and_resume(tiny_run, predict, tmp_path, form, photos=6000, kills=10)


FORMULAS = ["'=a.jpg", "+a.jpg", "-a.jpg", "=HYPERLINK(1).jpg", "@a.jpg", "\ta.jpg", "plain.jpg"]


@needs_odd_names
def test_write_predictions_keeps_formulas_out_of_a_csv_and_resumes(predict, tmp_path, monkeypatch):
    for name in FORMULAS:
        (tmp_path / name).write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    photos = ["--", *FORMULAS]
    assert predict("--out", "a.csv", *photos)[0] == 3
    whole = (tmp_path / "a.csv").read_bytes()
    expected = ["''=a.jpg", "'+a.jpg", "'-a.jpg", "'=HYPERLINK(1).jpg", "'@a.jpg", "'\ta.jpg", "plain.jpg"]
    assert [row["path"] for row in records(tmp_path / "a.csv")] == expected
    assert not any(row["error"].startswith(("=", "+", "-", "@", "\t")) for row in records(tmp_path / "a.csv"))
    (tmp_path / "a.csv").rename("a.csv.part")
    (tmp_path / "a.csv.part").write_bytes(whole[:-5])
    assert predict("--resume", "--out", "a.csv", *photos)[0] == 3
    assert (tmp_path / "a.csv").read_bytes() == whole
    assert predict("--out", "a.jsonl", *photos)[0] == 3
    assert [row["path"] for row in records(tmp_path / "a.jsonl")] == FORMULAS


@pytest.mark.parametrize("form", FORMATS)
@needs_locks
def test_write_predictions_that_loses_the_race_for_a_part_says_so(predict, tmp_path, monkeypatch, form):
    out = tmp_path / f"a.{form}"
    make = WRITERS[form]

    def opened_late(path):
        writer = make(path)
        path.rename(out)  # another process has finished it before it is locked
        return writer

    monkeypatch.setitem(WRITERS, form, opened_late)
    code, err = predict(*DRAWN, "--out", out)
    assert code == 1
    assert "another process has just finished or deleted it" in err
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("form", FORMATS)
@needs_links
def test_write_predictions_follows_a_link(predict, tmp_path, form):
    real, link = tmp_path / f"real.{form}", tmp_path / f"link.{form}"
    real.write_text("old")
    link.symlink_to(real)
    assert predict(DRAWN[0], "--out", link)[0] == 1
    assert predict(DRAWN[0], "--out", link, "--overwrite")[0] == 0
    assert link.is_symlink()
    assert len(records(real)) == 1


@pytest.mark.skipif(os.name != "posix", reason="system: needs named pipes")
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_write_predictions_refuses_a_pipe_and_leaves_it(predict, tmp_path, more):
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    code, err = predict(DRAWN[0], "--out", pipe, *more)
    assert code == 1
    assert "pipe.jsonl: expected a file" in err
    assert pipe.is_fifo()
