"""Put the errors that pydantic finds into plain sentences; no other module words validation errors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hierpets.errors import did_you_mean, shown
from hierpets.text import escaped
from hierpets.validation.document import Location, show_location
from hierpets.validation.strict import is_model

__all__ = ["ValidationProblem", "find_problems", "one_line", "problem_lines", "unknown_key"]

EXPECTED = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "callable_type": "expected a function",
    "dict_type": "expected keys and values",
    "finite_number": "expected a finite number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "list_type": "expected a list, such as [a, b]",
    "model_attributes_type": "expected keys and values",
    "model_type": "expected keys and values",
    "path_type": "expected a path",
    "string_too_short": "expected text",
    "string_type": "expected text",
    "tuple_type": "expected a list, such as [a, b]",
}
BOUNDS = {
    "ge": "at least {:g}",
    "gt": "more than {:g}",
    "le": "at most {:g}",
    "lt": "less than {:g}",
    "min_length": "a length of at least {}",
    "max_length": "a length of at most {}",
    "pattern": "text that matches {}",
}
CLASSES = {"Path": "a path", "PathLike": "a path", "Progress": "a function"}


class ValidationProblem(NamedTuple):
    """The location of a value, such as ``("finetune", "epochs")``, and what is wrong with it."""

    location: Location
    message: str

    def __str__(self) -> str:
        return f"{escaped(show_location(self.location))}: {self.message}" if self.location else self.message


def find_problems(error: ValidationError, model: type[BaseModel] | None = None) -> list[ValidationProblem]:
    """List the problems of ``error``, which ``model`` raised (None: unknown), one for each location in the input.

    A container of a wrong value is not reported itself: a list is not called too short because of its wrong items. If
    a key is missing, the model is named by the ``title`` of its ``model_config``: ``"is missing from this plugin"``.
    """
    found: dict[Location, str] = {}
    for item in error.errors(include_url=False):
        location, owners = _trace(item, model)
        message = _sentence(item, owners)
        found[location] = _either(found[location], message) if location in found else message
    around = {location[:depth] for location in found for depth in range(len(location))}
    return [ValidationProblem(location, message) for location, message in found.items() if location not in around]


def problem_lines(error: ValidationError, model: type[BaseModel], where: object = "") -> list[str]:
    """Format the problems as lines, each ``WHERE: key.path: message``."""
    head = f"{where}: " if where else ""
    return [f"{head}{problem}" for problem in find_problems(error, model)]


def one_line(error: BaseException) -> str:
    """Format an error as one line; one of pydantic in the words of :func:`find_problems`."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    return "; ".join(map(str, find_problems(error)))


def unknown_key(name: Any, keys: Collection[str]) -> str:
    """Describe the problem of a ``name`` that is none of the ``keys``."""
    known = f"; known: {', '.join(keys)}" if keys else ""
    return f"unknown key{did_you_mean(name, keys)}{known}"


def _sentence(item: Mapping[str, Any], owners: list[type[BaseModel]]) -> str:
    kind, got, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = list(dict.fromkeys(key for owner in owners for key in _keys(owner)))
        return unknown_key(item["loc"][-1], keys)
    if kind == "missing":
        title = next((owner.model_config.get("title") for owner in owners), None)
        return f"is missing from {title}" if title else "is missing"
    if kind == "literal_error":
        choices = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"expected one of {', '.join(choices)}, got {shown(got)}{did_you_mean(got, choices)}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    return f"{_expectation(kind, context, item['msg'])}, got {shown(got)}"


def _expectation(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in EXPECTED:
        return EXPECTED[kind]
    bound = next((text.format(context[key]) for key, text in BOUNDS.items() if key in context), None)
    if bound:
        return f"expected {bound}"
    if kind == "is_instance_of":
        return f"expected {CLASSES.get(context['class'], context['class'])}"
    plain = message.replace("Input should be", "expected", 1)
    return plain[:1].lower() + plain[1:]


def _either(first: str, second: str) -> str:
    """Join what two members of a union expected of one value into one sentence."""
    head, _, tail = first.rpartition(", got ")
    other = second.rpartition(", got ")[0].removeprefix("expected ")
    if not (head.startswith("expected ") and other) or other in head:
        return first
    return f"{head} or {other}, got {tail}"


def _trace(item: Mapping[str, Any], model: type[BaseModel] | None) -> tuple[Location, list[type[BaseModel]]]:
    """Return the keys and indices that lead to the value, without pydantic's names for members of a union, and the
    models that the last key belongs to.
    """
    here: list[Any] = [model] if model else []
    owners: list[Any] = []
    location: list[str | int] = []
    last = len(item["loc"]) - 1
    for depth, part in enumerate(item["loc"]):
        inner = [found for annotation in here for found in _inside(annotation, part)]
        if part == "[key]":  # the key itself is wrong: the part before names it
            continue
        if inner or not _is_union(here) or (depth == last and item["type"] == "extra_forbidden"):
            owners, here = here, inner
            location.append(part)
    return tuple(location), [m for annotation in owners for m in _members(annotation) if is_model(m)]


def _inside(annotation: Any, part: str | int) -> Iterator[Any]:
    """Yield the types of the value at a key or an index of a type; none if it has no such key or index."""
    for member in _members(annotation):
        arguments = get_args(member)
        if is_model(member):
            yield from (f.annotation for name, f in member.model_fields.items() if part in (name, f.alias))
        elif isinstance(part, int) and arguments:
            yield arguments[min(part, len(arguments) - 1)] if Ellipsis not in arguments else arguments[0]
        elif len(arguments) == 2 and issubclass(get_origin(member), Mapping):
            yield arguments[1]


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union, or a type itself."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for inner in get_args(annotation) for member in _members(inner)]
    return [annotation]


def _is_union(annotations: Collection[Any]) -> bool:
    return len([member for annotation in annotations for member in _members(annotation)]) > 1


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
