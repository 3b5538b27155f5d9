"""The story is told from beginning to end, with a backbone that is small enough for a test."""

import importlib.util
from pathlib import Path

import pytest
from helpers.fakes import tiny_registry

STORY = Path(__file__).resolve().parents[2] / "examples" / "story.py"


@pytest.fixture
def story():
    spec = importlib.util.spec_from_file_location("story", STORY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_story_runs_from_audit_to_serve(story, tmp_path, capsys, monkeypatch):
    from hierpets.cli import _run

    def in_this_process(command, *arguments):  # where torch has been imported already
        arguments = [str(argument) for argument in arguments]
        commands.append(command)
        more = ["--backbone", "tiny"] if command == "audit" else []
        assert not _run([command, *arguments, *more])

    commands = []
    tiny_registry(tmp_path)
    (tmp_path / "settings.yaml").write_text("recipe: heads\nbackbone: tiny\n")
    monkeypatch.setenv("HIERPETS_REGISTRY", str(tmp_path / "registry.yaml"))
    monkeypatch.setattr(story, "hierpets", in_this_process)
    story.main(["--out", str(tmp_path / "story"), "--config", str(tmp_path / "settings.yaml")])
    assert commands == ["audit", "train", "evaluate", "predict"]
    assert capsys.readouterr().out.count(" ms)") == 3  # three answers of the server
    for evidence in ("audit/audit.html", "run/bundle/bundle.json", "evaluation/report.html"):
        assert (tmp_path / "story" / evidence).is_file()


def test_a_step_that_fails_ends_the_story(story, capfd, tmp_path):
    story.hierpets("--version")
    with pytest.raises(SystemExit, match="exit code 1"):
        story.hierpets("audit", tmp_path / "nothing")
    assert "$ hierpets --version" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"level": "breed", "breed": {"label": "pug", "probability": 0.91}}, "pug, 91%; no shampoo to recommend"),
        ({"level": "species", "species": {"label": "dog"}}, "a dog, its breed in doubt; no shampoo to recommend"),
        ({"level": "unknown"}, "no pet that it knows; no shampoo to recommend"),
    ],
)
def test_a_record_becomes_a_sentence(story, record, told):
    assert story.sentence({"recommendation": None} | record) == told
