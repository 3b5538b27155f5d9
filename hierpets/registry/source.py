"""What a plugin's file defines, read from its source: nothing in it is run."""

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
    """The signature of a function as far as its source shows it. ``positional`` has no keyword-only parameters."""

    line: int
    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    has_var_positional: bool
    has_var_keyword: bool

    def options(self, skip: int) -> tuple[str, ...]:
        """Names of the options, after the first ``skip`` parameters that hierpets itself fills in."""
        return (*self.positional[skip:], *self.keyword_only)


@dataclass(frozen=True)
class SourceFile:
    """``functions`` have a readable signature; ``names`` are all that the module binds, unless ``error``."""

    functions: dict[str, Sketch]
    names: frozenset[str]
    error: str | None = None


def read_source(path: Path) -> SourceFile:
    """Sketch every function of a Python file that is there."""
    try:
        return _sketched(path.read_bytes())
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""  # a file with null bytes has none
        return SourceFile({}, frozenset(), f"{line}{error.msg}")
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return SourceFile({}, frozenset(), str(error))


@lru_cache(maxsize=64)
def _sketched(source: bytes) -> SourceFile:
    """The built-in plugins are in every registry, and a process may read several."""
    tree = ast.parse(source)
    table = symtable.symtable(decode_source(source), "<plugin>", "exec")
    names = frozenset(s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported())
    return SourceFile({f.name: _sketch(f) for f in _functions(tree.body)}, names)


def _functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Top-level functions, also inside ``if`` and ``try``; not decorated ones, whose signature may be another."""
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
