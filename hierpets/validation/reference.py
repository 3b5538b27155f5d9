"""Document the keys of a model as a table, so that a page says no more and no less than the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hierpets.validation.strict import is_model

__all__ = ["field_table"]

_JSON_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null", Path: "path"}


def field_table(model: type[BaseModel], *, defaults: bool = False) -> str:
    """Return a Markdown table of every key, its type and its meaning; with ``defaults``, also its default.

    ``*`` in a key stands for any name, ``[]`` for each element of a list.
    """
    head = ["key", "type", *(["default"] if defaults else []), "meaning"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for key, field, meaning in _rows(model, "", set()):
        cells = [f"`{key}`", _kind(field.annotation), *([_default(field)] if defaults else []), meaning]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str, seen: set[type[BaseModel]]) -> Iterator[tuple[str, FieldInfo, str]]:
    """Yield the keys of a model; one that is used several times is listed once."""
    for name, field in model.model_fields.items():
        nested, suffix = _nested(field.annotation)
        key, meaning = f"{prefix}{name}{suffix}", field.description or ""
        if nested in seen:
            meaning = f"{meaning.rstrip('.')}; the same keys as above" if meaning else "The same keys as above."
        yield key, field, meaning
        if nested and nested not in seen:
            seen.add(nested)
            yield from _rows(nested, f"{key}.", seen)


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Return the model inside an annotation, and the suffix between the key that holds it and its own keys."""
    if is_model(annotation):
        return annotation, ""
    for argument in get_args(annotation):
        nested, suffix = _nested(argument)
        if nested:
            own = {dict: ".*", list: "[]", tuple: "[]"}
            return nested, own.get(get_origin(annotation), "") + suffix
    return None, ""


def _kind(annotation: Any) -> str:
    """Describe the JSON type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _JSON_TYPES:
        return _JSON_TYPES[annotation]
    if annotation is Any:
        return "anything"
    if is_model(annotation):
        return "object"
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    if origin is dict:
        return f"object of {_kind(arguments[1])}"
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        return f"list of {_kind(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_kind, arguments))}]"
    return " or ".join(map(_kind, arguments))


def _default(field: FieldInfo) -> str:
    """Format the default as JSON: a list without brackets, an object in a list without its own defaults. Empty for a
    required key, and for one that holds a whole object.
    """
    value = field.default
    if field.is_required() or isinstance(value, BaseModel):
        return ""
    if value in ((), {}):
        return "empty"
    return "null" if value is None else f"`{', '.join(map(_written, value)) if isinstance(value, tuple) else value}`"


def _written(value: Any) -> str:
    return json.dumps(value.model_dump(mode="json", exclude_unset=True)) if isinstance(value, BaseModel) else str(value)
