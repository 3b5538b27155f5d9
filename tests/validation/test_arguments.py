"""Wrong arguments of public functions are one line each, before anything is done."""

from __future__ import annotations

import inspect
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field

import hierpets
from hierpets.errors import ConfigError
from hierpets.taxonomy import Taxonomy
from hierpets.validation.arguments import checked


@checked
def function(
    text: str,
    *names: str,
    share: Annotated[float, Field(ge=0, le=1)] | None = None,
    tree: Taxonomy | None = None,
    copy: bool = False,
    **words: object,
) -> tuple[object, ...]:
    """The docstring."""
    return text, names, share, tree, copy, words


def test_checked_hands_on_what_fits():
    tree = Taxonomy(tree={"cat": ()})
    given = function("a", "b", share=1, tree=tree, copy=True, more=1)
    assert given == ("a", ("b",), 1.0, tree, True, {"more": 1})
    assert function(text="a") == ("a", (), None, None, False, {})
    assert inspect.signature(function).parameters["share"].default is None
    assert function.__doc__ == "The docstring."


@pytest.mark.parametrize(
    ("args", "words", "message"),
    [
        ((1,), {}, "text: expected text, got 1"),
        (("",), {}, "text: expected text, got ''"),
        (("a", None), {}, "names[0]: expected text, got nothing"),
        (("a",), {"share": 2}, "share: expected at most 1, got 2"),
        (("a",), {"share": "1"}, "share: expected a number, got '1'"),
        (("a",), {"tree": {"cat": ()}}, "tree: expected Taxonomy, got {'cat': ()}"),
        (("a",), {"copy": None}, "copy: expected true or false, got nothing"),
        ((1,), {"copy": 2}, "text: expected text, got 1\ncopy: expected true or false, got 2"),
    ],
)
def test_checked_refuses_what_the_annotations_do_not_allow(args, words, message):
    with pytest.raises(ConfigError) as raised:
        function(*args, **words)
    assert str(raised.value) == message


def test_checked_leaves_a_missing_argument_to_python():
    with pytest.raises(TypeError, match=r"^function: missing a required argument: 'text'$"):
        function()


WRONG = {
    "audit": [{"data": 3}, {"settings": "fast"}, {"progress": None}, {"backbone": None}, {"out": -1}],
    "compare": [{"a": None}, {"seed": -1}, {"seed": 0.5}],
    "evaluate": [{"data": ""}, {"model": 3}, {"ood": []}, {"split": "train"}, {"registry": 1}, {"stress": "yes"}],
    "forget": [{"model": 3}, {"out": None}, {"overwrite": 2}],
    "grow": [{"data": None}, {"check": 1}, {"out": b"x"}],
    "plan": [{"config": {}}, {"price": "1"}, {"price": -1}, {"price": float("nan")}, {"backbones": None}],
    "read_boxes": [{"path": None}, {"path": 3}],
    "train": [{"config": "config.yaml"}, {"resume": None}, {"listener": 1}, {"data": 3}],
}


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, cases in WRONG.items() for words in cases])
def test_public_functions_name_a_wrong_argument(name, words, tmp_path):
    public = getattr(hierpets, name)
    needed = {"model": None, "data": tmp_path, "a": tmp_path, "b": tmp_path, "out": tmp_path / "out"}
    given = {key: value for key, value in needed.items() if key in inspect.signature(public).parameters}
    with pytest.raises(ConfigError, match=rf"^{next(iter(words))}: expected [^\n]+$"):
        public(**given | words)
    assert not any(tmp_path.iterdir())


class Place:
    """A path that is no ``Path``, as those of other libraries."""

    def __fspath__(self) -> str:
        return "not-there"


@pytest.mark.parametrize(
    "call",
    [
        lambda: hierpets.audit(Place(), registry=Place()),
        lambda: hierpets.grow(Place(), Place(), out=Place(), check=Place(), registry=Place()),
        lambda: hierpets.read_boxes(Place()),
        lambda: hierpets.plan(Place(), registry=Place()),
        lambda: hierpets.evaluate(Place(), Place(), registry=Place()),
        lambda: hierpets.compare(Place(), Place()),
        lambda: hierpets.forget(Place(), "cat", out=Place()),
        lambda: hierpets.train(Place()),
    ],
)
def test_public_functions_take_any_path(call):
    with pytest.raises(hierpets.HierpetsError, match=r"^not-there\b"):
        call()


def test_compare_takes_a_seed_of_numpy(tmp_path):
    with pytest.raises(hierpets.DataError, match="no evaluation here"):
        hierpets.compare(tmp_path, tmp_path, seed=np.int64(3))
