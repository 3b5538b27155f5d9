"""train, evaluate, audit and predict take the same sources, and give the same results for the same photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.sources import FORMS, PHOTOS, rows

from hierpets.cli import main

pytest.importorskip("pyarrow")
OTHERS = [form for form in FORMS if form != "folders"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    given = rows()
    return {form: write(tmp_path_factory.mktemp("sources") / "pets", given) for form, write in FORMS.items()}


@pytest.fixture
def run(tiny_run, capsys):
    def run(command: str, *arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([command, *map(str, arguments), "--registry", str(tiny_run.parent / "registry.yaml")])
        return caught.value.code or 0, *capsys.readouterr()

    return run


def answers(records):
    """What is said of the photos, in no order: where they lie is another thing."""
    return sorted(json.dumps(record | {"path": None}, sort_keys=True) for record in records)


@pytest.mark.parametrize("form", OTHERS)
def test_predict(form, sources, run, tiny_run):
    def predicted(source):
        code, out, err = run("predict", source, "--model", tiny_run / "bundle", "--format", "jsonl")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    found = predicted(sources[form])
    assert len({record["path"] for record in found}) == 4 * PHOTOS
    assert answers(found) == answers(predicted(sources["folders"]))


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("form", ["webdataset"])
def test_evaluate(form, sources, run, tiny_run, tmp_path):
    for name in (form, "folders"):
        out = tmp_path / name
        code, _, err = run("evaluate", "--data", sources[name], "--model", tiny_run / "bundle", "--out", out)
        assert code == 0, err
    ours, theirs = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in (form, "folders"))
    assert ours["breed"]["accuracy"] == theirs["breed"]["accuracy"]
    assert "data:image/" in (tmp_path / form / "report.html").read_text(), "pictures of photos inside an archive"


@pytest.mark.parametrize("form", ["hugging face saved"])
def test_audit(form, sources, run, tmp_path):
    code, _, err = run("audit", sources[form], "--out", tmp_path / "audit", "--backbone", "tiny")
    assert code == 0, err
    found = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert found["photos"] == 4 * PHOTOS
    assert found["summary"]["unreadable"] == found["summary"]["wrong_type"] == 0


def test_train(sources, run, tmp_path):
    given = ["--data", sources["webdataset"], "--recipe", "heads", "--backbone", "tiny", "--out", tmp_path / "run"]
    code, _, err = run("train", *given)
    assert code == 0, err
    bundle = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())
    assert bundle["taxonomy"]["tree"] == {"cat": ["birman", "siamese"], "dog": ["pug"], "rabbit": []}
    assert bundle["training"]["train"] + bundle["training"]["val"] == 4 * PHOTOS


def test_predict_resumes_a_source(sources, run, tiny_run, tmp_path):
    given = ["predict", sources["webdataset"], "--model", tiny_run / "bundle", "--out", tmp_path / "pets.jsonl"]
    assert run(*given)[0] == 0
    whole = (tmp_path / "pets.jsonl").read_text()
    (tmp_path / "pets.jsonl").rename(tmp_path / "pets.jsonl.part")
    lines = whole.splitlines(keepends=True)
    (tmp_path / "pets.jsonl.part").write_text("".join(lines[:5]))
    code, _, err = run(*given, "--resume")
    assert code == 0, err
    assert (tmp_path / "pets.jsonl").read_text() == whole


@pytest.mark.parametrize("command", ["predict", "evaluate", "audit", "train"])
def test_what_no_reader_knows_is_one_line(command, run, tiny_run, tmp_path):
    (tmp_path / "empty").mkdir()
    model = ["--model", tiny_run / "bundle"] if command in ("predict", "evaluate") else []
    out = ["--out", tmp_path / "out.jsonl" if command == "predict" else tmp_path / "out"]
    data = ["--data"] if command in ("evaluate", "train") else []
    code, _, err = run(command, *data, tmp_path / "empty", *model, *out)
    assert code == 1
    assert err.count("\n") == 1
    assert str(tmp_path / "empty") in err


@pytest.mark.parametrize("address", ["https://example.org/a.jpg", "http://example.org"])
def test_predict_does_not_read_the_web(address, run, tiny_run):
    code, _, err = run("predict", address, "--model", tiny_run / "bundle")
    assert code == 1
    assert "download the photo first" in err
