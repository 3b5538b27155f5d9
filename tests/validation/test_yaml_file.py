"""A YAML file read into a model: the same as YAML and pydantic say, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hierpets.validation.strict import StrictModel
from hierpets.validation.yaml_file import YamlProblems, parse_mapping, read_yaml


class Product(StrictModel):
    id: str
    price: float = 0.0
    kind: Literal["soap", "oil"] = "soap"


class Shelf(StrictModel):
    brand: str
    products: list[Product] = []
    notes: dict[str, str] = {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shelf.yaml"


def lines(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(YamlProblems) as caught:
        read_yaml(file, Shelf)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return [line.removeprefix(f"{file}:") for line in caught.value.lines]


def test_read_yaml_gives_the_model_and_the_place_of_each_value(file):
    file.write_text("brand: Own\nproducts:\n  - id: plain\n    price: 5\n")
    found = read_yaml(file, Shelf)
    assert found.content == Shelf(brand="Own", products=[Product(id="plain", price=5)])
    assert found.at("products", 0, "price") == f"{file}:4: products[0].price"


def test_read_yaml_tells_every_mistake_in_the_order_of_lines(file):
    text = "brnd: Own\nproducts:\n  - id: plain\n    price: dear\n  - {id: other, kind: soup, wieght: 3}\n"
    assert lines(file, text) == [
        "1: brand: is missing",
        "1: brnd: unknown key (did you mean 'brand'?); known: brand, products, notes",
        "4: products[0].price: expected a number, got 'dear'",
        "5: products[1].kind: expected one of soap, oil, got 'soup' (did you mean 'soap'?)",
        "5: products[1].wieght: unknown key; known: id, price, kind",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1: the file: expected keys and values, got nothing"]),
        ("- a\n", ["1: the file: expected keys and values, got ['a']"]),
        ("brand: a\nnotes: {x: 1, x: 2}\n", ["2: notes.x: given twice, first on line 2"]),
        ("brand: a\nbrand: b\n", ["2: brand: given twice, first on line 1"]),
        (
            "brand: &x a\nnotes: {y: *x}\n",
            ["2: not valid YAML: aliases (*name) are not supported; write the value out"],
        ),
    ],
)
def test_read_yaml_refuses_what_is_no_such_file(file, text, found):
    assert lines(file, text) == found


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
def test_read_yaml_refuses_a_number_that_is_not_finite(file, number):
    found = lines(file, f"brand: Own\nproducts:\n  - id: plain\n    price: {number}\n")
    assert found == [f"4: products[0].price: expected a finite number, got {number.replace('.', '')}"]


@pytest.mark.parametrize(
    "text", ["brand: [\n", "brand: \x00\n", "[" * 1500, "a: 2026-13-45\n", "a: !!python/name:os.x\n"]
)
def test_read_yaml_tells_a_syntax_error_with_its_line(file, text):
    (line,) = lines(file, text)
    assert line[0].isdigit()
    assert "YAML" in line


@pytest.mark.parametrize("read", [lambda file: read_yaml(file, Shelf), parse_mapping])
def test_read_yaml_and_parse_mapping_tell_a_file_that_cannot_be_read(file, read):
    with pytest.raises(YamlProblems, match=r"shelf\.yaml: cannot be read: No such file"):
        read(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(YamlProblems, match=r"shelf\.yaml: cannot be read: "):
        read(file)


shelves = st.builds(
    dict,
    brand=st.text(max_size=8),
    products=st.lists(
        st.fixed_dictionaries(
            {"id": st.text(max_size=5)}, optional={"price": st.floats(allow_nan=False, allow_infinity=False)}
        ),
        max_size=3,
    ),
    notes=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shelves)
def test_read_yaml_reads_what_safe_load_and_pydantic_read(file, shelf):
    file.write_text(yaml.safe_dump(shelf, allow_unicode=True), encoding="utf-8")
    assert read_yaml(file, Shelf).content == Shelf.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_read_yaml_reads_any_text_or_says_why_not(file, text):
    file.write_text(text, encoding="utf-8", newline="")
    try:
        read_yaml(file, Shelf)
    except YamlProblems as problems:
        assert problems.lines
        assert all(line.startswith(f"{file}:") and "\n" not in line for line in problems.lines)


def test_parse_mapping_gives_the_keys_and_values(file):
    file.write_text("seed: 1\nauto: {views: [plain]}\n")
    assert parse_mapping(file).value == {"seed": 1, "auto": {"views": ["plain"]}}
    file.write_text("# nothing yet\n")
    assert parse_mapping(file).value == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: 1\nseed: 2\n", "2: seed: given twice, first on line 1"),
        ("- seed\n", "1: expected keys and values, got list"),
        ("seed: [\n", "2: not valid YAML"),
    ],
)
def test_parse_mapping_tells_what_is_wrong_with_its_line(file, text, line):
    file.write_text(text)
    with pytest.raises(YamlProblems) as caught:
        parse_mapping(file)
    assert caught.value.lines[0].startswith(f"{file}:{line}")
