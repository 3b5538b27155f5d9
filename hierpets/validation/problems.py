"""What pydantic found wrong, in plain sentences: the one place that words validation errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from hierpets.errors import did_you_mean
from hierpets.validation.document import Location, show_location

__all__ = ["ValidationProblem", "find_problems", "problem_lines"]

EXPECTED = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "dict_type": "expected keys and values",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "model_attributes_type": "expected keys and values",
    "model_type": "expected keys and values",
    "path_type": "expected a path",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "finite_number": "expected a finite number",
}
LONGEST = 60  # characters of a value that are shown


class ValidationProblem(NamedTuple):
    """Where a value stands, ``("finetune", "epochs")``, and what is wrong with it."""

    location: Location
    message: str

    def __str__(self) -> str:
        return f"{show_location(self.location)}: {self.message}" if self.location else self.message


def find_problems(error: ValidationError, model: type[BaseModel]) -> list[ValidationProblem]:
    """Every problem of ``error``, which ``model`` raised, once each. A list is not called short for its wrong items."""
    items = error.errors(include_url=False)
    found: dict[Location, ValidationProblem] = {}
    for item in items:
        location = item["loc"]
        inside = any(other["loc"][: len(location)] == location and other is not item for other in items)
        if not (item["type"] == "too_short" and inside):
            found.setdefault(location, ValidationProblem(location, _sentence(item, model)))
    return list(found.values())


def problem_lines(error: ValidationError, model: type[BaseModel], where: object = "") -> list[str]:
    """The problems as lines, each ``WHERE: key.path: message``."""
    head = f"{where}: " if where else ""
    return [f"{head}{problem}" for problem in find_problems(error, model)]


def _sentence(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, got, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = list(_model_at(model, item["loc"][:-1]).model_fields)
        return f"unknown key{did_you_mean(str(item['loc'][-1]), keys)}; known: {', '.join(keys)}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        choices = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"expected one of {', '.join(choices)}, got {_shown(got)}{did_you_mean(str(got), choices)}"
    if kind == "value_error":
        return str(context["error"])
    bound = next(_bounds(context), None)
    return f"{f'expected {bound}' if bound else EXPECTED.get(kind, item['msg'])}, got {_shown(got)}"


def _bounds(context: Mapping[str, Any]) -> Iterator[str]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    yield from (f"{phrase} {context[key]:g}" for key, phrase in words.items() if key in context)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model that the keys at a location belong to."""
    for part in location:
        field = model.model_fields.get(str(part))
        model = (_inner_model(field.annotation) if field else None) or model
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _inner_model(inner))), None)
