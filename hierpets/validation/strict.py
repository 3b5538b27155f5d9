"""The base class of models of files, arguments and requests, and types that several of them share."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeGuard, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from hierpets.text import is_printable

__all__ = ["ONE_IS_A_LIST", "PlainName", "PrintableText", "StrictModel", "is_model"]


class StrictModel(BaseModel):
    """A frozen model; unknown keys, NaN and infinity are errors."""

    # Written files have all keys, defaults too, and their JSON schema says so.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


def is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Whether an annotation is a model; in Python 3.10, ``list[int]`` is a class as well."""
    return get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"expected letters, digits, '_', '-' and '.', starting with a letter or digit, got {name!r}")
    return name


PlainName = Annotated[str, AfterValidator(_check_name)]
"""A name that is safe in file names, commands and URLs."""


def _check_printable(text: str) -> str:
    if not is_printable(text):
        raise ValueError(f"expected no control characters, got {text!r}")
    return text


PrintableText = Annotated[str, AfterValidator(_check_printable)]
"""A text that is safe to print on a terminal."""

ONE_IS_A_LIST = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
"""Allow a single text in place of a list of one."""
