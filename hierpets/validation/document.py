"""A YAML document that knows the line of each of its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

__all__ = ["Document", "Location", "parse_yaml", "show_location"]

Location = tuple[str | int, ...]

MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Document:
    """``value`` is what ``yaml.safe_load`` returns, or None if there are ``problems``, each ``(line, message)``."""

    value: Any = None
    root: yaml.Node | None = None
    problems: tuple[tuple[int, str], ...] = ()

    @cached_property
    def lines(self) -> dict[Location, int]:
        """The line (from 1) of each value; for a key that is given twice, the first."""
        return dict(reversed(list(_walk(self.root, ())))) if self.root is not None else {}

    def line(self, location: Location) -> int:
        """Return the line (from 1) of a value, or of the nearest value around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def at(self, location: Location, message: str) -> tuple[int, str]:
        """Return a problem with a value: its line and ``"key.path: message"``."""
        return self.line(location), f"{show_location(location) or 'the file'}: {message}"


# The parser written in C is ten times faster; it is not in every build of PyYAML.
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases, by which a small file could become a huge document."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            problem = "aliases (*name) are not supported; write the value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        return super().compose_node(parent, index)


def parse_yaml(text: str) -> Document:
    """Parse YAML without running anything; a syntax error or a duplicate key is a problem, never an exception."""
    if len(text) > MAX_BYTES:
        return Document(problems=((1, f"the file is larger than {MAX_BYTES} characters"),))
    try:
        loader = _Fast(text)
        root = loader.get_single_node()
        if "*" not in text or not _has_aliases(root):
            return _document(loader, root)
    except (yaml.YAMLError, RecursionError, ValueError):
        pass
    return _explained(text)


def _explained(text: str) -> Document:
    """Parse an invalid document again, with the slower loader that says what is wrong where."""
    try:
        loader = _Loader(text)
        return _document(loader, loader.get_single_node())
    except yaml.YAMLError as error:
        return Document(problems=(_syntax_problem(error),))
    except (RecursionError, ValueError) as error:  # nested too deep; an impossible date
        return Document(problems=((1, f"not readable as YAML: {error}"),))


def _document(loader: Any, root: yaml.Node | None) -> Document:
    """Construct the document of a tree without aliases, or report its duplicate keys."""
    if root is None:
        return Document()
    problems = tuple(_repeated(list(_walk(root, ()))))
    return Document(None if problems else loader.construct_document(root), root, problems)


def _has_aliases(root: yaml.Node | None) -> bool:
    """Whether a node occurs several times: walking such a tree may take forever."""
    waiting, seen = [root] if root is not None else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            return True
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += (part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return False


def show_location(location: Location) -> str:
    """``("plugins", 2, "kind")`` -> ``"plugins[2].kind"``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".")


def _walk(node: yaml.Node, location: Location) -> Iterator[tuple[Location, int]]:
    """Yield every location with the line of its key or list item; a duplicate key is yielded twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*location, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _walk(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*location, index), value.start_mark.line + 1
            yield from _walk(value, (*location, index))


def _repeated(walk: list[tuple[Location, int]]) -> Iterator[tuple[int, str]]:
    first: dict[Location, int] = {}
    for location, line in walk:
        if location in first and not isinstance(location[-1], int):
            yield line, f"{show_location(location)}: given twice, first on line {first[location]}"
        first.setdefault(location, line)


def _syntax_problem(error: yaml.YAMLError) -> tuple[int, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return (mark.line + 1 if mark else 1), f"not valid YAML: {reason}"
