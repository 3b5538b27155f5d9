"""Reads what a plugin's file defines from its source, without running it."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import decode_source
from pathlib import Path

__all__ = ["Sketch", "SourceFile", "read_source"]


@dataclass(frozen=True)
class Sketch:
    """The signature of a function, read from its source. ``positional`` has no keyword-only parameters."""

    line: int
    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    has_var_positional: bool
    has_var_keyword: bool

    def options(self, skip: int) -> tuple[str, ...]:
        """Names of the options: all parameters but the first ``skip``, which hierpets itself fills in."""
        return (*self.positional[skip:], *self.keyword_only)


@dataclass(frozen=True)
class SourceFile:
    """The functions of a file whose signature is known from the source, and all ``names`` that it binds.

    Both are empty if there is an ``error``.
    """

    functions: dict[str, Sketch]
    names: frozenset[str]
    error: str | None = None


def read_source(path: Path) -> SourceFile:
    """Read the names and the functions' signatures of a Python file."""
    try:
        return _parse(path.read_bytes())
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""  # no line if there are null bytes
        return SourceFile({}, frozenset(), f"{line}{error.msg}")
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return SourceFile({}, frozenset(), str(error))


@lru_cache(maxsize=64)  # the built-in plugins are in every registry, and a process may read several
def _parse(source: bytes) -> SourceFile:
    tree = ast.parse(source)
    table = symtable.symtable(decode_source(source), "<plugin>", "exec")
    names = frozenset(s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported())
    return SourceFile({f.name: _sketch(f) for f in _functions(tree.body)}, names)


def _functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Top-level functions, also inside ``if`` and ``try``; not decorated ones, whose signature may differ."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
            yield statement
        elif isinstance(statement, ast.If | ast.Try):
            yield from _functions([s for s in ast.iter_child_nodes(statement) if isinstance(s, ast.stmt)])


def _sketch(function: ast.FunctionDef) -> Sketch:
    args = function.args
    return Sketch(
        line=function.lineno,
        positional=tuple(a.arg for a in (*args.posonlyargs, *args.args)),
        keyword_only=tuple(a.arg for a in args.kwonlyargs),
        has_var_positional=args.vararg is not None,
        has_var_keyword=args.kwarg is not None,
    )
