"""The story runs from beginning to end, with a backbone that is small enough for a test."""

import importlib.util
import json
from pathlib import Path

import cv2
import pytest
from helpers.fakes import tiny_registry

from hierpets.cli import main
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import split_index
from hierpets.data.photos import read_photo

STORY = Path(__file__).resolve().parents[2] / "examples" / "story.py"


@pytest.fixture
def story():
    spec = importlib.util.spec_from_file_location("story", STORY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(story, tmp_path, monkeypatch):
    """The commands that the story runs, here in this process, where torch has been imported already."""
    ran = []

    def in_this_process(command, *arguments):
        ran.append([command, *map(str, arguments)])
        more = ["--backbone", "tiny"] if command == "audit" else []
        with pytest.raises(SystemExit) as done:
            main([*ran[-1], *more])
        assert done.value.code in (0, None)

    tiny_registry(tmp_path)
    (tmp_path / "settings.yaml").write_text("recipe: heads\nbackbone: tiny\n")
    monkeypatch.setenv("HIERPETS_REGISTRY", str(tmp_path / "registry.yaml"))
    monkeypatch.setattr(story, "hierpets", in_this_process)
    return ran


@pytest.mark.slow
def test_story_judges_the_model_by_photos_that_it_was_not_trained_on(story, commands, tmp_path):
    photos = tmp_path / "photos"
    for breed in ("cat/siamese", "dog/pug", "dog/husky"):
        (photos / breed).mkdir(parents=True)
        for n in range(10):
            cv2.imwrite(str(photos / breed / f"{n}.png"), read_photo(f"demo:{breed}/{n}")[..., ::-1])
    story.main(["--data", str(photos), "--out", str(tmp_path / "out"), "--config", str(tmp_path / "settings.yaml")])
    held_out = {record.path for record in split_index(read_index(str(photos))).subset("val").records}
    lines = (tmp_path / "out" / "evaluation" / "predictions.jsonl").read_text().splitlines()
    assert {json.loads(line)["path"] for line in lines} == held_out
    assert len(held_out) == 6
    predicted = commands[-1]
    assert predicted[0] == "predict"
    assert set(predicted[3:]) <= held_out


@pytest.mark.slow
def test_story_runs_from_audit_to_serve(story, commands, tmp_path, capsys):
    story.main(["--out", str(tmp_path / "story"), "--config", str(tmp_path / "settings.yaml")])
    assert [command for command, *_ in commands] == ["audit", "train", "evaluate", "predict"]
    assert capsys.readouterr().out.count(" ms)") == 3  # three responses of the server
    for evidence in ("audit/audit.html", "run/bundle/bundle.json", "evaluation/report.html"):
        assert (tmp_path / "story" / evidence).is_file()


def test_story_ends_at_a_step_that_fails(story, capfd, tmp_path):
    story.hierpets("--version")
    with pytest.raises(SystemExit, match="exit code 1"):
        story.hierpets("info", tmp_path / "nothing")
    assert "$ hierpets --version" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"level": "breed", "breed": {"label": "pug", "probability": 0.91}}, "pug, 91%; no shampoo to recommend"),
        ({"level": "species", "species": {"label": "dog"}}, "a dog, breed uncertain; no shampoo to recommend"),
        ({"level": "unknown"}, "pet not recognized; no shampoo to recommend"),
    ],
)
def test_sentence_says_what_a_record_holds(story, record, told):
    assert story.sentence({"recommendation": None} | record) == told
