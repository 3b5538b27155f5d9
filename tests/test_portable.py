"""The same on every system: text states its encoding and the ends of its lines, and paths of Windows are read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest

from hierpets.evaluation.records import inside
from hierpets.plugin.reading import split_of

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("hierpets", "plugins") for path in (ROOT / folder).rglob("*.py"))


def unstated(source: str) -> Iterator[str]:
    """What the methods of a path that read or write text leave to the system."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            stated = {keyword.arg for keyword in call.keywords}
            for missing in sorted(needed(call.func.attr, call.args) - stated):
                yield f"line {call.lineno}: {call.func.attr} without {missing}"


def needed(method: str, arguments: list[ast.expr]) -> set[str]:
    mode = next((a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)), "")
    writes = method == "open" and set("wax") & set(mode) and "b" not in mode and ":" not in mode
    if writes or method == "write_text":
        return {"encoding", "newline"}
    return {"encoding"} if method == "read_text" else set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("p.write_text('a')", 2),
        ("p.write_text('a', encoding='utf-8', newline='')", 0),
        ("p.open('a', encoding='utf-8')", 1),
        ("p.open('wb')", 0),
        ("p.read_text()", 1),
        ("write_text(p, 'a')  # of hierpets.files", 0),
    ],
)
def test_unstated_finds_what_systems_do_differently(source, found):
    assert len(list(unstated(source))) == found


def test_text_states_its_encoding_and_newline():
    problems = {str(path.relative_to(ROOT)): list(unstated(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert {path: lines for path, lines in problems.items() if lines} == {}


@pytest.mark.parametrize(
    ("path", "split"),
    [
        (r"C:\pets\train-0001.tar", "train"),
        (r"pets\valid\0001.parquet", "val"),
        ("C:/pets/test/a.tar", "test"),
        ("s3://bucket/train/a.tar?region=x", "train"),
        (r"C:\train\pets\a.tar", None),
    ],
)
def test_split_is_found_in_a_path_of_windows(monkeypatch, path, split):
    monkeypatch.setattr("hierpets.plugin.reading.PurePath", PureWindowsPath)
    assert split_of(path) == split


def test_photos_are_the_same_on_windows_and_elsewhere(monkeypatch):
    elsewhere = inside(["/data/pets/cat/a.jpg", "/data/pets/dog/b.jpg"])
    monkeypatch.setattr("hierpets.evaluation.records.PurePath", PureWindowsPath)
    assert inside([r"C:\pets\cat\a.jpg", r"C:\pets\dog\b.jpg"]) == elsewhere == ["cat/a.jpg", "dog/b.jpg"]
    assert inside(["s3://bucket/pets/cat/a.jpg", "s3://bucket/pets/dog/b.jpg"]) == elsewhere
