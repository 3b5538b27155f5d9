"""YAML with line numbers."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hierpets.validation.document import parse_yaml, show_location

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(trees)
def test_parse_yaml_reads_what_safe_load_reads(tree):
    text = yaml.safe_dump(tree, allow_unicode=True)
    assert parse_yaml(text).value == yaml.safe_load(text)


@given(st.text(max_size=200))
def test_parse_yaml_gives_a_value_or_problems_for_any_text(text):
    document = parse_yaml(text)
    assert document.value is None or not document.problems
    assert all(1 <= line <= len(text) + 1 and "\n" not in message for line, message in document.problems)


def test_document_line_of_every_value():
    document = parse_yaml("# top\na: 1\nb:\n  - x: 2\n    y: 3\n  - 4\n")
    assert [document.line(where) for where in (("a",), ("b", 0), ("b", 0, "y"), ("b", 1))] == [2, 4, 5, 6]
    assert document.line(("b", 0, "missing", "deep")) == 4, "the nearest value around it"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1,\n", 3, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "a: given twice, first on line 1"),
        ("a: &x [1]\nb: *x\n", 2, "aliases"),
        ("a: 1\nb: !!python/object/apply:os.system [echo]\n", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
        ("a: 2026-13-45\n", 1, "not readable"),
        ("[" * 1500, 1, "YAML"),
        ("a: \x00\n", 1, "not valid YAML"),
        ("x" * 1_000_001, 1, "larger than"),
    ],
)
def test_parse_yaml_gives_the_line_of_a_problem(text, line, words):
    document = parse_yaml(text)
    assert document.value is None
    assert document.problems[0][0] == line
    assert words in document.problems[0][1]


def test_show_location_as_text():
    assert show_location(("plugins", 2, "options", "beta")) == "plugins[2].options.beta"
