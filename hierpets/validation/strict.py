"""The base of every model that a file, a caller or a request fills in, and what several of them share."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeGuard, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from hierpets.text import is_printable

__all__ = ["ONE_IS_A_LIST", "PlainName", "PrintableText", "StrictModel", "is_model"]


class StrictModel(BaseModel):
    """Frozen; a key that does not exist is an error, and so is a number that is none, or infinite."""

    # What is written always has all its keys, defaults too, and the JSON schema of it says so.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


def is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Whether an annotation is a model; to Python 3.10, ``list[int]`` is a class as well."""
    return get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"expected letters, digits, '_', '-' and '.', starting with a letter or digit, got {name!r}")
    return name


PlainName = Annotated[str, AfterValidator(_check_name)]
"""A name that can stand in a file, a command and a URL."""


def _check_printable(text: str) -> str:
    if not is_printable(text):
        raise ValueError(f"expected no control characters, got {text!r}")
    return text


PrintableText = Annotated[str, AfterValidator(_check_printable)]
"""A text that a terminal may show as it is."""

ONE_IS_A_LIST = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
"""Of a list: a text alone stands for a list of one."""
