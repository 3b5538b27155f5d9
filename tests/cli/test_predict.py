import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from hierpets.cli import main

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


def test_every_record_fits_the_documented_schema(predict, schema, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    code, out, _ = predict("--format", "json", *PHOTOS, str(tmp_path / "broken.jpg"))
    records = json.loads(out)
    assert code == 3
    assert [r["path"] for r in records] == [*PHOTOS, str(tmp_path / "broken.jpg")]
    for record in records:
        jsonschema.validate(record, schema)
    assert [r["error"] is None for r in records] == [True, True, True, False]
    assert records[-1]["error"]["type"] == "ImageError"


def test_lines_and_array_say_the_same(predict):
    _, array, _ = predict("--format", "json", *PHOTOS)
    _, lines, _ = predict("--format", "jsonl", *PHOTOS)
    assert json.loads(array) == [json.loads(line) for line in lines.splitlines()]


def test_csv_has_a_row_a_photo(predict):
    code, out, _ = predict("--format", "csv", *PHOTOS)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["path"] for row in rows] == PHOTOS
    assert all(0 <= float(row["species_probability"]) <= 1 for row in rows)


def test_text_is_a_line_a_photo(predict):
    _, out, _ = predict(*PHOTOS)
    assert [line.split(": ")[0] for line in out.splitlines()] == PHOTOS


def test_paths_come_from_standard_input(predict, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(PHOTOS) + "\n\n"))
    _, out, _ = predict("--format", "jsonl", "-")
    assert [json.loads(line)["path"] for line in out.splitlines()] == PHOTOS


def test_top_k(predict):
    _, out, _ = predict("--format", "jsonl", "--top-k", "5", PHOTOS[0])
    assert len(json.loads(out)["top"]) == 5


def test_a_folder_without_photos_is_an_error_of_one_line(predict, tmp_path):
    code, out, err = predict(str(tmp_path))
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path}: no photos in this folder\n"


def test_a_folder_that_is_no_bundle_is_an_error_of_one_line(tmp_path, capsys):
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
        (["--engine", "torch", "--precision", "int8"], "--precision int8: the engine torch has none on cpu; choose"),
        (["--engine", "openvino", "--compile"], "--compile is torch's, and the engine is openvino"),
    ],
)
def test_an_engine_that_cannot_is_an_error_of_one_line(predict, options, told):
    code, out, err = predict("--device", "cpu", *options, PHOTOS[0])
    assert (code, out) == (1, "")
    assert told in err
    assert err.count("\n") == 1


def test_the_engine_and_its_precision_can_be_chosen(predict):
    exact, half = (
        json.loads(predict("--engine", "torch", "--precision", precision, "--format", "jsonl", PHOTOS[0])[1])
        for precision in ("f32", "bf16")
    )
    assert exact["species"]["label"] == half["species"]["label"]
    assert exact["top"] != half["top"]
    assert exact["top"][0]["probability"] == pytest.approx(half["top"][0]["probability"], abs=0.1)


def test_cuda_that_is_not_there_is_an_error_of_one_line(predict, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = predict("--device", "cuda", PHOTOS[0])
    assert code == 1
    assert "torch finds no CUDA device" in err
    assert err.count("\n") == 1
