"""Errors of pydantic as plain sentences, each with the place of the value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from hierpets.validation.problems import ValidationProblem, find_problems, problem_lines
from hierpets.validation.strict import PlainName, StrictModel


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"expected an even number, got {value}")
    return value


class Layer(StrictModel):
    model_config = ConfigDict(title="this layer")

    name: PlainName = "conv"
    width: int = Field(default=1, ge=1, lt=100)
    kind: Literal["conv", "pool"] = "conv"
    scale: float = Field(default=1.0, gt=0, le=2, allow_inf_nan=False)


class Named(Layer):
    label: str


class Net(StrictModel):
    layers: tuple[Layer, ...] = Field(default=(), max_length=2)
    by_name: dict[str, Layer] = {}
    first: Layer | None = None
    pair: tuple[int, Layer] = (0, Layer())
    one_or_many: Annotated[tuple[Named, ...], BeforeValidator(lambda v: [v] if isinstance(v, dict) else v)] = ()
    size: int | Literal["auto"] = "auto"
    deep: dict[str, list[Layer | int]] = {}
    even: Annotated[int, AfterValidator(_even)] = 0
    code: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    on: bool = False
    words: tuple[str, ...] = Field(default=("a",), min_length=1)
    counts: dict[int, int] = {}
    alias: int = Field(default=0, alias="renamed")


def problems(**given: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Net.model_validate(given)
    return [str(problem) for problem in find_problems(caught.value, Net)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"layer": []},
            "layer: unknown key (did you mean 'layers'?); known: layers, by_name, first",
        ),
        (
            {"layers": [{}, {"widht": 1}]},
            "layers[1].widht: unknown key (did you mean 'width'?); known: name, width",
        ),
        ({"by_name": {"width": {"wide": 1}}}, "by_name.width.wide: unknown key (did you mean 'width'?); known: name"),
        ({"first": {"nam": "x"}}, "first.nam: unknown key (did you mean 'name'?); known: name, width, kind, scale"),
        ({"pair": [1, {"knd": 1}]}, "pair[1].knd: unknown key (did you mean 'kind'?); known: name, width, kind, scale"),
        (
            {"one_or_many": {"labl": 1, "label": ""}},
            "one_or_many[0].labl: unknown key (did you mean 'label'?);",
        ),
        ({"deep": {"a": [{"kin": 1}]}}, "deep.a[0].kin: unknown key (did you mean 'kind'?); known: name, width"),
        (
            {"alias": 1},
            "alias: unknown key; known: layers, by_name, first, pair",
        ),
        ({"one_or_many": {}}, "one_or_many[0].label: is missing from this layer"),
        ({"layers": [{"kind": "pol"}]}, "layers[0].kind: expected one of conv, pool, got 'pol' (did you mean 'pool'?)"),
        ({"layers": [{"width": 0}]}, "layers[0].width: expected at least 1, got 0"),
        ({"layers": [{"width": 100}]}, "layers[0].width: expected less than 100, got 100"),
        ({"layers": [{"width": 1.5}]}, "layers[0].width: expected a whole number, got 1.5"),
        ({"layers": [{"width": "wide"}]}, "layers[0].width: expected a whole number, got 'wide'"),
        ({"layers": [{"scale": 0}]}, "layers[0].scale: expected more than 0, got 0"),
        ({"layers": [{"scale": 3}]}, "layers[0].scale: expected at most 2, got 3"),
        ({"layers": [{"scale": float("inf")}]}, "layers[0].scale: expected a finite number, got inf"),
        ({"layers": [{"scale": None}]}, "layers[0].scale: expected a number, got nothing"),
        ({"layers": [{"name": 7}]}, "layers[0].name: expected text, got 7"),
        ({"layers": [{"name": "a b"}]}, "layers[0].name: expected letters, digits, '_', '-' and '.', starting with"),
        ({"layers": 3}, "layers: expected a list, such as [a, b], got 3"),
        ({"layers": [3]}, "layers[0]: expected keys and values, got 3"),
        ({"layers": [{}, {}, {}]}, "layers: expected a length of at most 2, got "),
        ({"words": []}, "words: expected a length of at least 1, got []"),
        ({"even": 3}, "even: expected an even number, got 3"),
        ({"code": "eur"}, "code: expected text that matches ^[A-Z]{3}$, got 'eur'"),
        ({"on": "perhaps"}, "on: expected true or false, got 'perhaps'"),
        ({"counts": {"x": 1}}, "counts.x: expected a whole number, got 'x'"),
        ({"size": "big"}, "size: expected a whole number or one of auto, got 'big'"),
        ({"even": "x" * 100}, f"even: expected a whole number, got '{'x' * 56}..."),
        ({"even": np.zeros((9, 9))}, "even: expected a whole number, got ndarray"),
    ],
)
def test_find_problems_words_what_is_wrong(given, message):
    (found,) = problems(**given)
    assert found.startswith(message)


def test_find_problems_gives_every_problem_once_in_its_place():
    found = problems(layers=[{"width": 0, "kind": "x"}], size=[], first={"width": "x"}, on=3, nothing=1)
    assert [problem.partition(":")[0] for problem in found] == [
        "layers[0].width",
        "layers[0].kind",
        "first.width",
        "size",
        "on",
        "nothing",
    ]


def test_find_problems_does_not_call_a_list_short_for_its_wrong_items():
    class Shelf(StrictModel):
        items: tuple[Layer, ...] = Field(min_length=1)

    with pytest.raises(ValidationError) as caught:
        Shelf.model_validate({"items": [{"width": 0}]})
    assert find_problems(caught.value, Shelf) == [
        ValidationProblem(("items", 0, "width"), "expected at least 1, got 0")
    ]


def test_find_problems_names_the_whole_where_it_is_no_mapping():
    with pytest.raises(ValidationError) as caught:
        Net.model_validate([1])
    assert [*map(str, find_problems(caught.value, Net))] == ["expected keys and values, got [1]"]


def test_problem_lines_put_the_file_in_front():
    with pytest.raises(ValidationError) as caught:
        Net.model_validate({"even": 1})
    assert problem_lines(caught.value, Net, "net.yaml") == ["net.yaml: even: expected an even number, got 1"]
    assert problem_lines(caught.value, Net) == ["even: expected an even number, got 1"]


KEYS = [*Net.model_fields, *Named.model_fields, "renamed", "other"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=4))
def test_find_problems_words_any_error_in_one_line_with_a_place_in_the_input(given_values):
    try:
        Net.model_validate(given_values)
    except ValidationError as error:
        found = find_problems(error, Net)
        assert found
        assert len({problem.location for problem in found}) == len(found)
        for problem in found:
            assert "\n" not in str(problem)
            assert "Input should" not in problem.message
            assert problem.location[0] in given_values


@pytest.mark.parametrize("name", ["a", "A.b-c_d", "9"])
def test_plain_name_takes_what_can_stand_in_a_file_name(name):
    assert Layer(name=name).name == name


@pytest.mark.parametrize("name", ["", ".a", "a b", "a/b", "a\n", "é"])
def test_plain_name_refuses_the_rest(name):
    with pytest.raises(ValidationError, match="expected letters, digits"):
        Layer(name=name)
