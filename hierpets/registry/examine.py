"""Finds every problem of a ``registry.yaml`` at once, without running a plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from hierpets.errors import RegistryError, did_you_mean
from hierpets.plugin.kinds import KINDS, LEADING_ARGUMENTS, Kind
from hierpets.plugin.options import unknown_option
from hierpets.registry.entries import PluginEntry, RegistryFile, split_entry
from hierpets.registry.source import Sketch, read_source
from hierpets.validation.document import Document, Location, parse_yaml
from hierpets.validation.problems import find_problems

__all__ = ["Examination", "Problem", "examine", "read_registry_file"]

Problem = tuple[int, str]

_EMPTY: Problem = (1, "the file is empty; expected 'plugins:' and a list, or 'plugins: []'")
_ENTRY = re.compile(r"(?P<path>[^:]+\.py):(?P<function>[A-Za-z_]\w*)")


@dataclass(frozen=True)
class Examination:
    """The content of a ``registry.yaml`` or its problems.

    ``problems`` are pairs of a line and what is wrong there; if there are any, ``content`` is None. ``valid`` maps the
    index of each entry without a problem to that entry. ``unreadable`` maps an index to what is wrong with the plugin's
    file: that plugin is broken, the registry is not.
    """

    path: Path
    content: RegistryFile | None = None
    problems: tuple[Problem, ...] = ()
    valid: dict[int, PluginEntry] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)
    document: Document = field(default_factory=Document)

    def report(self, *more: Problem) -> tuple[str, ...]:
        """Format all problems, including ``more``, sorted by line: ``registry.yaml:LINE: key: message``."""
        return tuple(f"{self.path}:{line}: {message}" for line, message in sorted({*self.problems, *more}))


def read_registry_file(path: Path) -> RegistryFile:
    """Read and check a ``registry.yaml``.

    :raises RegistryError: it is invalid; with every problem.
    """
    examination = examine(path)
    if examination.content is None:
        raise RegistryError(examination.report())
    return examination.content


def examine(path: Path) -> Examination:
    """Check a ``registry.yaml`` and the source files it names. No plugin code is run."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return Examination(path, problems=((1, f"cannot be read: {error}"),))
    if document.value is None:
        return Examination(path, problems=document.problems or (_EMPTY,), document=document)
    content, problems = _validate(document)
    drafts = list(_drafts(document.value))
    problems += _duplicates(drafts, document)
    unreadable: dict[int, str] = {}
    valid: dict[int, PluginEntry] = {}
    for draft in drafts:
        found, broken = _check_entry(draft, path.parent)
        problems += [document.at(where, text) for where, text in found]
        unreadable.update({draft.index: broken} if broken else {})
        if draft.whole and not found:
            valid[draft.index] = draft.whole
    return Examination(path, None if problems else content, tuple(problems), valid, unreadable, document)


def _validate(document: Document) -> tuple[RegistryFile | None, list[Problem]]:
    try:
        return RegistryFile.model_validate(document.value), []
    except ValidationError as error:
        return None, [document.at(*problem) for problem in find_problems(error, RegistryFile)]


@dataclass(frozen=True)
class _Draft:
    """The valid parts of an entry, checked even if other parts are wrong, so that one mistake does not hide another.

    ``whole`` is the entry if all of it is valid.
    """

    index: int
    name: str | None
    kind: Kind | None
    entry: str | None
    options: dict[str, Any]
    whole: PluginEntry | None


def _drafts(value: Any) -> Iterator[_Draft]:
    items = value.get("plugins") if isinstance(value, dict) else None
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            name, kind, entry, options = (item.get(key) for key in ("name", "kind", "entry", "options"))
            yield _Draft(
                index,
                name if isinstance(name, str) else None,
                kind if kind in KINDS else None,
                entry if isinstance(entry, str) else None,
                options if isinstance(options, dict) else {},
                _whole(item),
            )


def _whole(item: dict[Any, Any]) -> PluginEntry | None:
    try:
        return PluginEntry.model_validate(item)
    except ValidationError:
        return None


def _duplicates(drafts: list[_Draft], document: Document) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for draft in drafts:
        if draft.name is None or draft.kind is None:
            continue
        where = ("plugins", draft.index, "name")
        line = document.line(where)
        earlier = first.setdefault((draft.kind, draft.name), line)
        if earlier != line:
            yield document.at(where, f"{draft.kind} {draft.name!r} is used twice, on lines {earlier} and {line}")


def _check_entry(draft: _Draft, folder: Path) -> tuple[list[tuple[Location, str]], str | None]:
    """Return the problems of one entry, and why its file is unreadable, if it is."""
    if draft.entry is None:
        return [], None
    where: Location = ("plugins", draft.index, "entry")
    if problem := _entry_problem(draft.entry, folder):
        return [(where, problem)], None
    path, function = split_entry(draft.entry)
    source = read_source(folder / path)
    if source.error:
        return [], f"{folder / path}: {source.error}"
    if function not in source.names:
        known = f"; it defines {', '.join(source.functions)}" if source.functions else ""
        hint = did_you_mean(function, source.functions)
        return [(where, f"{path} has no function {function!r}{hint}{known}")], None
    sketch = source.functions.get(function)
    # Without a sketch it is imported, assigned or decorated, and only running it would tell its signature.
    return (list(_signature_problems(draft, function, sketch)) if sketch else []), None


def _entry_problem(entry: str, folder: Path) -> str | None:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        return f"expected 'path/to/file.py:function', got {entry!r}"
    relative = PurePosixPath(match["path"])
    if relative.is_absolute() or "\\" in match["path"] or ".." in relative.parts:
        return f"expected a path beside registry.yaml: relative, with '/' and without '..'; got {entry!r}"
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        return f"{relative} is a link that points outside the folder of registry.yaml"
    if not path.is_file():
        there = [p.relative_to(folder).as_posix() for p in path.parent.glob("*.py")]
        return f"no such file {path}{did_you_mean(match['path'], there)}"
    return None


def _signature_problems(draft: _Draft, function: str, sketch: Sketch) -> Iterator[tuple[Location, str]]:
    if draft.kind is None:
        return
    leading = LEADING_ARGUMENTS[draft.kind]
    if len(sketch.positional) < len(leading) and not sketch.has_var_positional:
        expected = f"{function}({', '.join(leading)}, ...)"
        text = f"a {draft.kind} is called as {expected}, but the function on line {sketch.line} takes fewer arguments"
        yield ("plugins", draft.index, "entry"), text
        return
    names = sketch.options(len(leading))
    for option in map(str, draft.options):
        if option not in names and not sketch.has_var_keyword:
            yield ("plugins", draft.index, "options", option), unknown_option(option, names)
