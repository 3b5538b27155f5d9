"""A YAML file read into a model: fast when it is right, and with the line of every mistake when it is not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hierpets.validation.document import Document, parse_yaml, show_location
from hierpets.validation.problems import find_problems

__all__ = ["YamlFile", "YamlProblems", "parse_mapping", "read_yaml"]

M = TypeVar("M", bound=BaseModel)
# The parser written in C is ten times faster; it is not in every build of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlProblems(Exception):
    """Everything wrong with a file, each ``FILE:LINE: key: message``; callers raise their own error with these."""

    def __init__(self, lines: list[str]):
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True)
class YamlFile(Generic[M]):
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


def read_yaml(path: Path, model: type[M]) -> YamlFile[M]:
    """Read and check one file.

    :raises YamlProblems: it cannot be read, is not YAML, gives a key twice, or does not fit the model.
    """
    text = _read_text(path)
    try:
        return YamlFile(path, model.model_validate(_parse(text)), text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlProblems(_explain(path, text, error, model)) from error


def parse_mapping(path: Path) -> Document:
    """The keys and values of a file, and their lines, to be checked later together with what else is given.

    :raises YamlProblems: it cannot be read, is not YAML, gives a key twice, or holds something else.
    """
    text = _read_text(path)
    document = parse_yaml(text)
    if document.problems:
        raise YamlProblems([f"{path}:{line}: {message}" for line, message in document.problems])
    if document.value is not None and not isinstance(document.value, dict):
        raise YamlProblems([f"{path}:1: expected keys and values, got {type(document.value).__name__}"])
    return replace(document, value=document.value or {})


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise YamlProblems([f"{path}: cannot be read: {reason}"]) from error


def _explain(path: Path, text: str, error: Exception, model: type[BaseModel]) -> list[str]:
    document = parse_yaml(text)
    if document.problems:
        found = list(document.problems)
    elif isinstance(error, ValidationError):
        found = sorted(document.at(*problem) for problem in find_problems(error, model))
    else:
        found = [(1, f"not readable: {error}")]
    return [f"{path}:{line}: {message}" for line, message in found]


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
