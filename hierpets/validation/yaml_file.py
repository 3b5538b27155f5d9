"""Read a YAML file into a model; every mistake is reported with its line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from hierpets.errors import reason_of
from hierpets.validation.document import Document, parse_yaml, show_location
from hierpets.validation.problems import find_problems

__all__ = ["YamlFile", "YamlProblems", "parse_mapping", "read_yaml"]

M = TypeVar("M", bound=BaseModel)


class YamlProblems(Exception):
    """Everything wrong with a file, each ``FILE:LINE: key: message``; callers raise their own error with these."""

    def __init__(self, lines: list[str]):
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True)
class YamlFile(Generic[M]):
    """A file, its ``content`` as a model, and the parsed ``document``."""

    path: Path
    content: M
    document: Document

    def at(self, *location: str | int) -> str:
        """Return ``file:line: location`` of a value."""
        return f"{self.path}:{self.document.line(location)}: {show_location(location)}"


def read_yaml(path: Path, model: type[M]) -> YamlFile[M]:
    """Read and check one file; content that was read before is not checked again.

    :raises YamlProblems: it cannot be read, is not YAML, gives a key twice, or does not fit the model.
    """
    return _check(path, _read(path), model)


@lru_cache(maxsize=16)
def _check(path: Path, text: str, model: type[M]) -> YamlFile[M]:
    document = _parse(path, text)
    try:
        return YamlFile(path, model.model_validate(document.value), document)
    except ValidationError as error:
        found = sorted(document.at(*problem) for problem in find_problems(error, model))
        raise _problems(path, found) from error
    except (ValueError, RecursionError) as error:
        raise _problems(path, [(1, f"not readable: {error}")]) from error


def parse_mapping(path: Path) -> Document:
    """Parse a file of keys and values, which the caller checks together with other settings.

    :raises YamlProblems: it cannot be read, is not YAML, gives a key twice, or holds something else.
    """
    document = _parse(path, _read(path))
    if document.value is not None and not isinstance(document.value, dict):
        raise YamlProblems([f"{path}:1: expected keys and values, got {type(document.value).__name__}"])
    return replace(document, value=document.value or {})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise YamlProblems([f"{path}: cannot be read: {reason_of(error)}"]) from error


def _parse(path: Path, text: str) -> Document:
    document = parse_yaml(text)
    if document.problems:
        raise _problems(path, document.problems)
    return document


def _problems(path: Path, found: Iterable[tuple[int, str]]) -> YamlProblems:
    return YamlProblems([f"{path}:{line}: {message}" for line, message in found])
