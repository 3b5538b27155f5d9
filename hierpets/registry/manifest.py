"""``registry.yaml``: what it may say, and everything that is wrong with it, found without running a plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierpets.errors import RegistryError, did_you_mean
from hierpets.registry.source import Sketch, read_source
from hierpets.validation.document import Document, Location, parse_yaml, show_location

__all__ = [
    "KINDS",
    "Examination",
    "Kind",
    "Manifest",
    "PluginEntry",
    "Problem",
    "examine",
    "leading_arguments",
    "read_manifest",
    "split_entry",
]

Kind = Literal["backbone", "sampler", "shampoo_rule"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Problem = tuple[int, str]

_EMPTY: Problem = (1, "the file is empty; expected 'plugins:' and a list, or 'plugins: []'")
_ENTRY = re.compile(r"(?P<path>[^:]+\.py):(?P<function>[A-Za-z_]\w*)")
_LEADING: dict[Kind, tuple[str, ...]] = {"backbone": (), "sampler": ("labels",), "shampoo_rule": ("case",)}


class PluginEntry(BaseModel):
    """One plugin. ``entry`` is ``path/to/file.py:function``, relative to the folder of ``registry.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    kind: Kind
    entry: str
    options: dict[str, Any] = Field(default_factory=dict)
    description: str = ""


class Manifest(BaseModel):
    """A whole ``registry.yaml``. With ``builtins`` the plugins that come with hierpets are there too."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    plugins: list[PluginEntry]
    builtins: bool = True


@dataclass(frozen=True)
class Examination:
    """``manifest`` is None when there are ``problems``: pairs of a line and what is wrong there.

    ``sound`` maps the index of each entry without a problem to that entry. ``unreadable`` maps an index to what is
    wrong with the plugin's file: that plugin is broken, the registry is not.
    """

    path: Path
    manifest: Manifest | None = None
    problems: tuple[Problem, ...] = ()
    sound: dict[int, PluginEntry] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)
    document: Document = field(default_factory=Document)

    def at(self, location: Location, message: str) -> Problem:
        return self.document.line(location), f"{show_location(location)}: {message}"

    def report(self, *more: Problem) -> tuple[str, ...]:
        """All problems and those found later, in the order of lines: ``registry.yaml:LINE: key: message``."""
        return tuple(f"{self.path}:{line}: {message}" for line, message in sorted({*self.problems, *more}))


def leading_arguments(kind: Kind) -> tuple[str, ...]:
    """What hierpets itself passes to a plugin, before its options."""
    return _LEADING[kind]


def split_entry(entry: str) -> tuple[PurePosixPath, str]:
    """``"plugins/a.py:f"`` -> the path and ``"f"``."""
    path, _, function = entry.rpartition(":")
    return PurePosixPath(path), function


def read_manifest(path: Path) -> Manifest:
    """The manifest, or a :class:`RegistryError` with all that is wrong."""
    examination = examine(path)
    if examination.manifest is None:
        raise RegistryError(examination.report())
    return examination.manifest


def examine(path: Path) -> Examination:
    """Check a ``registry.yaml`` and the sources it names. No code of a plugin is run."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return Examination(path, problems=((1, f"cannot be read: {error}"),))
    if document.value is None:
        return Examination(path, problems=document.problems or (_EMPTY,), document=document)
    manifest, problems = _validate(document)
    drafts = list(_drafts(document.value))
    problems += _used_twice(drafts, document)
    unreadable: dict[int, str] = {}
    sound: dict[int, PluginEntry] = {}
    for draft in drafts:
        found, broken = _check_entry(draft, path.parent)
        problems += [(document.line(where), f"{show_location(where)}: {text}") for where, text in found]
        unreadable.update({draft.index: broken} if broken else {})
        if draft.whole and not found:
            sound[draft.index] = draft.whole
    return Examination(path, None if problems else manifest, tuple(problems), sound, unreadable, document)


def _validate(document: Document) -> tuple[Manifest | None, list[Problem]]:
    try:
        return Manifest.model_validate(document.value), []
    except ValidationError as errors:
        return None, [_explain(dict(error), document) for error in errors.errors(include_url=False)]


def _explain(error: dict[str, Any], document: Document) -> Problem:
    """One pydantic error as a line number and one plain sentence."""
    where: Location = error["loc"]
    key, got = str(where[-1]) if where else "", error["input"]
    model: type[BaseModel] = Manifest if len(where) < 2 else PluginEntry
    if error["type"] == "extra_forbidden":
        text = f"unknown key{did_you_mean(key, model.model_fields)}; known: {', '.join(model.model_fields)}"
    elif error["type"] == "missing":
        text = f"is missing from {'the file' if len(where) < 2 else 'this plugin'}"
    elif error["type"] == "literal_error":
        text = f"unknown kind {got!r}{did_you_mean(str(got), KINDS)}; known: {', '.join(KINDS)}"
    elif error["type"] == "string_pattern_mismatch":
        text = f"expected letters, digits, '_', '-' and '.', starting with a letter or digit, got {got!r}"
    else:
        text = f"{_EXPECTED.get(error['type'], error['msg'])}, got {_short(got)}"
    return document.line(where), f"{show_location(where) or 'registry.yaml'}: {text}"


_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected keys and values",
    "list_type": "expected a list, each item starting with '- '",
    "model_type": "expected keys and values",
    "string_type": "expected text",
}


def _short(value: Any) -> str:
    text = "nothing" if value is None else f"{type(value).__name__} {value!r}"
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True)
class _Draft:
    """What can be read of an entry that may be wrong elsewhere, so that one mistake does not hide another."""

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


def _used_twice(drafts: list[_Draft], document: Document) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for draft in drafts:
        if draft.name is None or draft.kind is None:
            continue
        where = ("plugins", draft.index, "name")
        line = document.line(where)
        earlier = first.setdefault((draft.kind, draft.name), line)
        if earlier != line:
            yield (
                line,
                f"{show_location(where)}: {draft.kind} {draft.name!r} is used twice, on lines {earlier} and {line}",
            )


def _check_entry(draft: _Draft, folder: Path) -> tuple[list[tuple[Location, str]], str | None]:
    """Problems of one entry, and what makes its file unreadable."""
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
    # Imported, assigned or decorated: the signature is known only once it runs.
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
        return f"{relative} is a link that leads out of the folder of registry.yaml"
    if not path.is_file():
        there = [p.relative_to(folder).as_posix() for p in path.parent.glob("*.py")]
        return f"no such file {path}{did_you_mean(match['path'], there)}"
    return None


def _signature_problems(draft: _Draft, function: str, sketch: Sketch) -> Iterator[tuple[Location, str]]:
    if draft.kind is None:
        return
    leading = leading_arguments(draft.kind)
    if len(sketch.positional) < len(leading) and not sketch.has_var_positional:
        expected = f"{function}({', '.join(leading)}, ...)"
        text = f"a {draft.kind} is called as {expected}, and the function on line {sketch.line} takes less"
        yield ("plugins", draft.index, "entry"), text
        return
    names = sketch.options(len(leading))
    for option in draft.options:
        if option not in names and not sketch.has_var_keyword:
            known = f"; known: {', '.join(names)}" if names else "; it takes none"
            text = f"{function} has no option {option!r}{did_you_mean(str(option), names)}{known}"
            yield ("plugins", draft.index, "options", str(option)), text
