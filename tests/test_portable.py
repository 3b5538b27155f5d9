"""Text is read and written alike on every system: its encoding and the ends of its lines are stated."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

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
