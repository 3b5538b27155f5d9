import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import jsonschema
import pytest
from helpers.systems import needs_byte_names

from hierpets.cli import main
from hierpets.data.photos import read_photo

DOC = Path(__file__).resolve().parents[2] / "docs" / "output.md"
PHOTOS = ["demo:cat/siamese/1", "demo:dog/dalmatian/2", "demo:dog/pug/3"]


@pytest.fixture
def predict(tiny_run, capsys):
    """Run ``hierpets predict`` and return exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        registry = str(tiny_run.parent / "registry.yaml")
        with pytest.raises(SystemExit) as caught:
            main(["predict", "--model", str(tiny_run / "bundle"), "--registry", registry, *arguments])
        return caught.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def schema():
    return json.loads(re.search(r"```json\n(.*?)```", DOC.read_text(), re.S).group(1))


def test_predict_records_fit_the_documented_schema(predict, schema, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    code, out, _ = predict("--format", "json", *PHOTOS, str(tmp_path / "broken.jpg"))
    records = json.loads(out)
    assert code == 3
    assert [r["path"] for r in records] == [*PHOTOS, str(tmp_path / "broken.jpg")]
    for record in records:
        jsonschema.validate(record, schema)
    assert [r["error"] is None for r in records] == [True, True, True, False]
    assert records[-1]["error"]["type"] == "ImageError"


def test_predict_jsonl_and_json_say_the_same(predict):
    _, array, _ = predict("--format", "json", *PHOTOS)
    _, lines, _ = predict("--format", "jsonl", *PHOTOS)
    assert json.loads(array) == [json.loads(line) for line in lines.splitlines()]


def test_predict_csv_has_a_row_a_photo(predict):
    code, out, _ = predict("--format", "csv", *PHOTOS)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["path"] for row in rows] == PHOTOS
    assert all(0 <= float(row["species_probability"]) <= 1 for row in rows)


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "text"])
def test_predict_keeps_what_a_plugin_prints_out_of_its_records(predict, tmp_path, form):
    (tmp_path / "rule.py").write_text("print('imported')\n\n\ndef rule(case):\n    print('asked')\n    return ()\n")
    entry = "plugins:\n  - {name: chatty, kind: shampoo_rule, entry: 'rule.py:rule'}\n"
    (tmp_path / "registry.yaml").write_text(entry)
    code, out, err = predict(PHOTOS[0], "--format", form, "--registry", str(tmp_path / "registry.yaml"))
    assert code == 0
    assert not {"imported", "asked"} & {*out.splitlines()}
    assert {"imported", "asked"} <= {*err.splitlines()}


def test_predict_text_is_a_line_a_photo(predict):
    _, out, _ = predict(*PHOTOS)
    assert [line.split(": ")[0] for line in out.splitlines()] == PHOTOS


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_predict_text_is_a_line_a_photo_whatever_its_name(predict, tmp_path):
    for name in ("a\nb.jpg", "c\x1b[31md.jpg", "d\u202eg.jpg"):
        (tmp_path / name).write_bytes(cv2.imencode(".jpg", read_photo(PHOTOS[0]))[1].tobytes())
    (tmp_path / "e\nf.jpg").write_bytes(b"nothing")
    _, out, _ = predict(str(tmp_path))
    names = [line.split(": ")[0].removeprefix(f"{tmp_path}{os.sep}") for line in out.splitlines()]
    assert names == ["a\\nb.jpg", "c\\x1b[31md.jpg", "d\\u202eg.jpg", "e\\nf.jpg"]


def piped(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def test_predict_takes_paths_from_standard_input(predict, monkeypatch):
    monkeypatch.setattr("sys.stdin", piped("\n".join(PHOTOS) + "\n\n"))
    _, out, _ = predict("--format", "jsonl", "-")
    assert [json.loads(line)["path"] for line in out.splitlines()] == PHOTOS


def test_predict_takes_paths_from_standard_input_as_windows_writes_them(predict, monkeypatch):
    monkeypatch.setattr("sys.stdin", piped("\ufeff" + "\r\n".join(PHOTOS)))
    _, out, _ = predict("--format", "jsonl", "-")
    assert [json.loads(line)["path"] for line in out.splitlines()] == PHOTOS


def test_paths_on_standard_input_say_whether_more_are_to_come(monkeypatch):
    from hierpets.cli.deploy.inputs import PipedPaths

    class Pipe(io.BytesIO):
        def read1(self, size=-1):
            return next(pieces, b"")

    pieces = iter([b"a.jpg\nb.jpg\n\nc", b".jpg\n", b"\xc3\xa4.jpg"])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Pipe(), encoding="utf-8"))
    paths = PipedPaths()
    assert [(path, paths.live()) for path in paths] == [
        ("a.jpg", False),
        ("b.jpg", True),
        ("c.jpg", True),
        ("\xe4.jpg", False),
    ]


@pytest.mark.parametrize("out", [None, "answers.jsonl"])
def test_predict_answers_a_path_on_standard_input_before_the_next_comes(tiny_run, tmp_path, out):
    command = [sys.executable, "-m", "hierpets", "predict", "-", "--model", tiny_run / "bundle", "--format", "jsonl"]
    if out:
        command += ["--out", tmp_path / out]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for photo in PHOTOS[:2]:
            process.stdin.write(f"{photo}\n")
            process.stdin.flush()
            if out:
                part, end = tmp_path / f"{out}.part", time.monotonic() + 60
                while not (part.exists() and photo in part.read_text()):
                    assert time.monotonic() < end, "waited in vain"
                    time.sleep(0.05)
            else:
                assert json.loads(process.stdout.readline())["path"] == photo
        process.stdin.close()
        assert process.wait(60) == 0


def test_predict_takes_every_option_of_a_prediction_with_its_default(predict):
    from hierpets.cli.deploy.predict import command
    from hierpets.inference.options import PredictOptions

    given = {option.name: option.default for option in command.params}
    assert {*PredictOptions.model_fields} <= {*given}
    assert given["max_set"] == PredictOptions().max_set
    code, _, told = predict("--max-set", "4", PHOTOS[0])
    assert code == 1
    assert "max_set: expected at most 3, got 4" in told


def test_predict_top_k(predict):
    _, out, _ = predict("--format", "jsonl", "--top-k", "5", PHOTOS[0])
    assert len(json.loads(out)["top"]) == 5


def test_predict_refuses_a_folder_without_photos(predict, tmp_path):
    code, out, err = predict(str(tmp_path))
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path}: no photos in this folder\n"


def test_predict_refuses_a_folder_that_is_no_bundle(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--model", str(tmp_path), PHOTOS[0]])
    assert caught.value.code == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {tmp_path}: no bundle here")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--precision", "int8"], "--precision int8: the graph of this bundle is not quantized; choose f32 or bf16"),
        (
            ["--engine", "torch", "--precision", "int8"],
            "--precision int8: the engine torch does not support it on cpu; choose",
        ),
        (["--engine", "openvino", "--compile"], "compile is for the engine torch; the engine openvino always compiles"),
    ],
)
def test_predict_refuses_an_engine_that_cannot(predict, options, told):
    code, out, err = predict("--device", "cpu", *options, PHOTOS[0])
    assert (code, out) == (1, "")
    assert told in err
    assert err.count("\n") == 1


def test_predict_takes_engine_and_precision(predict):
    exact, half = (
        json.loads(predict("--engine", "torch", "--precision", precision, "--format", "jsonl", PHOTOS[0])[1])
        for precision in ("f32", "bf16")
    )
    assert exact["species"]["label"] == half["species"]["label"]
    assert exact["top"] != half["top"]
    assert exact["top"][0]["probability"] == pytest.approx(half["top"][0]["probability"], abs=0.1)


def test_predict_refuses_cuda_that_is_not_there(predict, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = predict("--device", "cuda", PHOTOS[0])
    assert code == 1
    assert "torch finds no CUDA device" in err
    assert err.count("\n") == 1


def test_predict_expands_a_quoted_pattern(predict, tmp_path):
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_bytes(cv2.imencode(".png", read_photo(PHOTOS[0]))[1].tobytes())
    code, out, _ = predict("--format", "csv", str(tmp_path / "*.png"))
    assert code == 0
    assert [row["path"] for row in csv.DictReader(io.StringIO(out))] == [str(tmp_path / n) for n in ("a.png", "b.png")]


def test_predict_takes_a_file_whose_name_looks_like_a_pattern(predict, tmp_path):
    photo = tmp_path / "cat[1].png"
    photo.write_bytes(cv2.imencode(".png", read_photo(PHOTOS[0]))[1].tobytes())
    assert predict(str(photo))[0] == 0


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("nowhere/*.jpg", "nowhere/*.jpg: no file matches this pattern"),
        ("https://example.org/cat.jpg", "a URL is not read; download the photo first"),
        ("nonsense://bucket/pets", "nonsense://bucket/pets: cannot be opened"),
        ("", "expected the path of a photo or a folder, got an empty one"),
    ],
)
def test_predict_says_what_to_do_with_a_path_that_is_none(predict, path, told):
    code, out, err = predict(path)
    assert (code, out) == (1, "")
    assert told in err
    assert err.count("\n") == 1


def test_predict_refuses_binary_data_on_standard_input(predict, monkeypatch):
    data = cv2.imencode(".png", read_photo(PHOTOS[0]))[1].tobytes()
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", text)
    code, out, err = predict("-")
    assert (code, out) == (1, "")
    assert "standard input: expected one path per line, got binary data" in err


def test_predict_says_that_standard_input_is_closed(predict, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)  # as Python has it after `<&-`
    code, out, err = predict("-")
    assert (code, out) == (1, "")
    assert "standard input is closed; expected one path per line" in err


def test_predict_only_takes_names_and_files_of_names(predict, tmp_path):
    names = "pug\n\n# ours\ndog/dalmatian  # spotted\n"
    (tmp_path / "dogs.txt").write_text(names, encoding="utf-8-sig")  # with a mark at its start, as Windows writes it
    _, out, _ = predict(
        "--format", "jsonl", "--only", str(tmp_path / "dogs.txt"), "--only", "cat", *PHOTOS[:1], "--top-k", "9"
    )
    named = {(leaf["species"], leaf["breed"]) for leaf in json.loads(out)["top"] if leaf["probability"] > 0}
    assert {species for species, _ in named} <= {"cat", "dog"}
    assert {breed for species, breed in named if species == "dog"} <= {"pug", "dalmatian"}


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "contains no names"), (b"# nothing\n", "contains no names"), (b"\xff\xfe", "cannot be read")],
)
def test_predict_only_refuses_a_file_without_names(predict, tmp_path, content, told):
    (tmp_path / "names").write_bytes(content)
    code, _, err = predict("--only", str(tmp_path / "names"), PHOTOS[0])
    assert code == 1
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("alpha", ["nan", "0", "1", "inf", "-1"])
def test_predict_refuses_an_alpha_that_is_no_error_rate(predict, alpha):
    code, _, err = predict("--alpha", alpha, PHOTOS[0])
    assert code == 1
    assert err.startswith("error: alpha: expected")
    assert err.count("\n") == 1


def test_predict_explain_shows_the_rules_in_text(predict):
    _, plain, _ = predict(PHOTOS[0])
    _, explained, _ = predict("--explain", PHOTOS[0])
    assert explained.splitlines()[0] == plain.strip()
    assert any(line.startswith("  expected_value: ") for line in explained.splitlines())
    assert any(line.startswith("    ") and "suits" in line for line in explained.splitlines())


def test_predict_explain_sets_a_colon_as_the_language_does(predict):
    _, explained, _ = predict("--explain", "--language", "fr", PHOTOS[0])
    assert ":" in explained and explained.count("\N{NO-BREAK SPACE}: ") == explained.count(": ") - 1  # the path's


def test_predict_explain_shows_the_rules_in_every_format_but_csv(predict, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    _, array, _ = predict("--explain", "--format", "json", PHOTOS[0])
    _, line, _ = predict("--explain", "--format", "jsonl", PHOTOS[0])
    predict("--explain", "--out", str(tmp_path / "pets.parquet"), PHOTOS[0])
    column = pq.read_table(tmp_path / "pets.parquet")["recommendation"].to_pylist()
    for advice in (json.loads(array)[0]["recommendation"], json.loads(line)["recommendation"], json.loads(column[0])):
        assert "expected_value" in [step["rule"] for step in advice["explain"]]


@pytest.mark.parametrize(
    ("options", "choices"), [(["--format", "csv"], "text, json or jsonl"), (["--out", "pets.csv"], "jsonl or parquet")]
)
def test_predict_refuses_to_explain_in_csv(predict, tmp_path, monkeypatch, options, choices):
    monkeypatch.chdir(tmp_path)
    code, out, err = predict("--explain", *options, PHOTOS[0])
    assert (code, out) == (2, "")
    assert f"--explain: CSV has no column for what shampoo rules do; use --format {choices}." in err
    assert not list(tmp_path.iterdir())


def test_names_of_species_and_breeds_are_completed(tiny_run, tmp_path):
    from click.shell_completion import ShellComplete

    from hierpets.cli import cli

    def complete(arguments: list[str], incomplete: str) -> list[str]:
        shell = ShellComplete(cli, {}, "hierpets", "_HIERPETS_COMPLETE")
        return [item.value for item in shell.get_completions(arguments, incomplete)]

    assert complete(["predict", "--only"], "british") == ["british_shorthair"]
    assert complete(["predict", "--model", str(tiny_run / "bundle"), "--only"], "dal") == ["dalmatian"]
    assert complete(["predict", "--only"], "dog/pu") == complete(["forget"], "dog/pu") == ["dog/pug"]
    assert complete(["predict", "--only"], "lists/pets.txt") == ["lists/pets.txt"]  # a file, if one is there
    assert complete(["forget"], "ca") == ["cat", *complete(["forget"], "cat/")]
    assert complete(["forget"], "pug") == []  # which it does not take
    assert complete(["forget", "--model", str(tmp_path)], "dog") == []
    assert complete(["predict", "--max-level"], "b") == ["breed"]


@pytest.mark.parametrize("form", ["text", "csv"])
@needs_byte_names
def test_predict_prints_file_names_that_are_no_text(tmp_path, form):
    photo = os.fsencode(tmp_path) + b"/not-utf8-\xff.png"
    Path(os.fsdecode(photo)).write_bytes(cv2.imencode(".png", read_photo(PHOTOS[0]))[1].tobytes())
    run = subprocess.run(
        [sys.executable, "-m", "hierpets", "predict", "--format", form, "-"],
        input=photo,
        capture_output=True,
        check=True,
    )
    assert photo in run.stdout


def test_predict_boxes_answers_each_box_of_a_file(predict, schema, tmp_path):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), read_photo(PHOTOS[0])[..., ::-1])
    found = [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.5, 0.5]}]
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"images": [{"file": "a.png", "detections": found}]}))
    photos = [str(tmp_path / name) for name in ("a.png", "b.png")]
    code, out, _ = predict("--boxes", str(boxes), "--format", "json", *photos)
    first, second = json.loads(out)
    assert code == 3
    jsonschema.validate(first, schema)
    (region,) = first["regions"]
    assert region["box"] == {"left": 0.1, "top": 0.1, "width": 0.5, "height": 0.5}
    assert region["species"]["label"] in ("cat", "dog", "rabbit")
    assert "not among the 1 photos" in second["error"]["message"]
    _, out, _ = predict("--boxes", str(boxes), photos[0])
    assert out.splitlines()[1].startswith("  10% to 60% across, 10% to 60% down: ")
    _, out, _ = predict("--boxes", str(boxes), "--explain", photos[0])
    whole, _, region = out.partition("  10% to 60% across")
    for text, indent in ((whole, "  "), (region, "    ")):
        assert any(line.startswith(f"{indent}expected_value: ") for line in text.splitlines())


@pytest.mark.parametrize("more", [["--regions"], ["--cluster", "local", "--out", "folder"]])
def test_predict_boxes_are_not_for_everything(predict, more):
    code, _, err = predict("--boxes", "boxes.json", *more, *PHOTOS)
    assert code == 2
    assert "leave out --regions and --cluster" in err


def test_predict_resumes_only_with_the_same_boxes(predict, tmp_path):
    boxes, out = tmp_path / "boxes.json", tmp_path / "out.jsonl"
    boxes.write_text(json.dumps({"images": [{"file": PHOTOS[0], "detections": []}]}))
    assert predict("--boxes", str(boxes), "--out", str(out), PHOTOS[0])[0] == 0
    assert json.loads(out.read_text())["regions"] == []
    code, _, err = predict("--out", str(out), "--resume", PHOTOS[0])
    assert code != 0
    assert "boxes" in err


def test_predict_prints_utf8_into_a_pipe_that_has_another_encoding(tmp_path):
    photo = tmp_path / "\N{CAT FACE}.png"
    photo.write_bytes(cv2.imencode(".png", read_photo(PHOTOS[0]))[1].tobytes())
    run = subprocess.run(
        [sys.executable, "-m", "hierpets", "predict", "--format", "jsonl", str(photo)],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )
    assert json.loads(run.stdout.decode("utf-8"))["path"] == str(photo)
    assert b"\r" not in run.stdout


@pytest.mark.parametrize("arguments", [[], ["--out", "pets.jsonl"]])
def test_predict_lists_a_folder_once_and_counts_its_photos_in_the_background(predict, tmp_path, monkeypatch, arguments):
    from hierpets.data import listing

    source, listed = listing.list_source, []

    def listed_by(path, registry):
        listed.append(threading.current_thread().name)
        return source(path, registry)

    (tmp_path / "pets").mkdir()
    cv2.imwrite(str(tmp_path / "pets" / "a.jpg"), read_photo(PHOTOS[0]))
    monkeypatch.setattr(listing, "list_source", listed_by)
    monkeypatch.chdir(tmp_path)
    code, _, err = predict("pets", *arguments)
    assert code == 0, err
    assert [name for name in listed if name != "count"] == ["MainThread"]
