"""A tool that is given a folder which is not there says so in one line."""

import importlib
import re
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
READING = re.compile(r"--(data|photos|bundle|model)\b|read_arguments\(")  # what the arguments of a tool name


@pytest.mark.parametrize(
    ("name", "option"), [("bench_peers", "--data"), ("measure.memory", "--photos"), ("model_card", "--data")]
)
def test_a_folder_that_is_not_there_is_one_line(name, option, tmp_path, monkeypatch, capsys):
    tool = importlib.import_module(f"tools.{name}")
    monkeypatch.setattr(sys, "argv", [name, option, str(tmp_path / "gone")])
    assert tool.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "gone" in line


def test_every_tool_that_reads_photos_or_a_bundle_does_so():
    texts = {path: path.read_text(encoding="utf-8") for path in TOOLS.glob("**/*.py")}
    reading = {path for path, text in texts.items() if "\ndef main(" in text and READING.search(text)}
    assert len(reading) > 15
    assert [path.name for path in reading if "@in_one_line\ndef main(" not in texts[path]] == []
