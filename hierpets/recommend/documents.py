"""A YAML file read into a model: fast when it is right, and with the line of every mistake when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hierpets.errors import CatalogError, did_you_mean
from hierpets.validation.document import Document, Location, parse_yaml, show_location

__all__ = ["CareFile", "read_care_file"]

M = TypeVar("M", bound=BaseModel)
# The parser written in C is ten times faster; it is not in every build of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class CareFile(Generic[M]):
    """A file and what it says."""

    path: Path
    content: M
    text: str

    def at(self, *location: str | int) -> str:
        """``file:line: location``."""
        return f"{self.path}:{self._document.line(location)}: {show_location(location)}"

    @cached_property
    def _document(self) -> Document:
        return parse_yaml(self.text)


def read_care_file(path: Path, model: type[M]) -> CareFile[M]:
    """Read and check one file. Raises :class:`CatalogError` with all its problems, each ``file:line: key: message``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError([f"{path}: cannot be read: {error}"]) from error
    try:
        return CareFile(path, model.model_validate(_parse(text)), text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        document = parse_yaml(text)
        found = list(document.problems) or sorted(_explain(error, model, document))
        raise CatalogError(f"{path}:{line}: {message}" for line, message in found) from error


def _parse(text: str) -> Any:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repeats(root, set())
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_repeats(node: yaml.Node, seen: set[int]) -> None:
    """A key given twice would silently win over the first, and an alias (the same node again) can blow up a file."""
    if id(node) in seen:
        raise ValueError("aliases (*name) are not supported; write the value out")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        if len({str(key.value) for key, _ in node.value}) < len(node.value):
            raise ValueError("a key is given twice")
        for _, value in node.value:
            _refuse_repeats(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeats(value, seen)


def _explain(error: Exception, model: type[BaseModel], document: Document) -> Iterator[tuple[int, str]]:
    if not isinstance(error, ValidationError):
        yield 1, f"not readable: {error}"
        return
    errors = error.errors(include_url=False)
    for one in errors:
        where: Location = one["loc"]
        if one["type"] == "too_short" and any(
            other["loc"][: len(where)] == where and other is not one for other in errors
        ):
            continue  # a list counts as empty when each of its items is wrong
        yield document.line(where), f"{show_location(where) or 'the file'}: {_sentence(dict(one), model)}"


def _sentence(error: dict[str, Any], model: type[BaseModel]) -> str:
    """One error of pydantic in plain words."""
    got, context = error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(str(error['loc'][-1]), _keys(model))}"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "literal_error":
        choices = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        return f"expected one of {', '.join(choices)}, got {got!r}{did_you_mean(str(got), choices)}"
    if error["type"] == "value_error":
        return str(context["error"])
    return f"{error['msg']}, got {type(got).__name__} {str(got)[:60]!r}"


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key that a file of this model may hold, at any depth."""
    schema = model.model_json_schema()
    return {key for part in (schema, *schema.get("$defs", {}).values()) for key in part.get("properties", {})}
