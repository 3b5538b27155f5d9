"""Plugins, found and called. The only module that runs a user's code."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal

import hierpets
from hierpets.errors import PluginError, RegistryError, did_you_mean
from hierpets.registry.contracts import ContractError, check_result
from hierpets.registry.manifest import (
    KINDS,
    Examination,
    Kind,
    PluginEntry,
    Problem,
    examine,
    leading_arguments,
    read_manifest,
    split_entry,
)
from hierpets.registry.options import Options

__all__ = ["Plugin", "Registry", "bundled_registry", "find_registry", "load_registry", "validate_registry"]

VARIABLE = "HIERPETS_REGISTRY"

Source = Literal["builtin", "user"]


@dataclass(frozen=True)
class Plugin:
    """One entry of a registry. Its code runs on :meth:`load` and :meth:`call`, not before."""

    name: str
    kind: Kind
    folder: Path  # of registry.yaml
    entry: str
    options: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    source: Source = "user"

    @property
    def file(self) -> Path:
        return self.folder / split_entry(self.entry)[0]

    @property
    def function(self) -> str:
        return split_entry(self.entry)[1]

    def load(self) -> Callable[..., Any]:
        """The function itself, from its file, wherever the current directory is."""
        return self._function

    def call(self, *args: Any, **overrides: Any) -> Any:
        """Call with the registry's options and ``overrides``; the result keeps the contract of its kind.

        A backbone gives a :class:`~hierpets.plugin.Backbone`, a sampler float64 [N], a shampoo rule a tuple of
        :class:`~hierpets.plugin.Advice`. Whatever goes wrong inside is a :class:`PluginError` with file and line.
        """
        options = self.resolve(**overrides)
        try:
            return check_result(self.kind, self._function(*args, **options), args)
        except ContractError as error:
            raise PluginError(f"{self._at(self._first_line)}: {error}") from error
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error

    def call_without_weights(self, **overrides: Any) -> Any:
        """A backbone whose weights come from elsewhere: ``pretrained=False`` where there is such an option."""
        if "pretrained" in self.option_names:
            overrides["pretrained"] = False
        return self.call(**overrides)

    def resolve(self, **overrides: Any) -> dict[str, Any]:
        """Every option with the value that :meth:`call` would use, of the type that the function asks for."""
        values, problems = self._options.read({**self.options, **overrides})
        if problems:
            text = "; ".join(f"option {option!r} {message}" for option, message in problems)
            raise PluginError(f"{self._at(self._first_line)}: {text}")
        return values

    @property
    def option_names(self) -> tuple[str, ...]:
        """The options that the function takes, in its order."""
        return self._options.names

    def problems(self) -> list[tuple[str | None, str]]:
        """Import it, and list ``(option or None, what is wrong)``; options still to be given are no problem."""
        try:
            _, problems = self._options.read(self.options)
        except PluginError as error:
            return [(None, str(error))]
        return [(option, message) for option, message in problems if option in self.options]

    @cached_property
    def _function(self) -> Callable[..., Any]:
        try:
            function = getattr(_import_file(self.file), self.function, None)
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error
        if not callable(function):
            raise PluginError(f"{self._at(None)}: expected a function {self.function!r} in this file, got {function!r}")
        return function

    @cached_property
    def _options(self) -> Options:
        leading = leading_arguments(self.kind)
        try:
            inspect.signature(self._function).bind_partial(*leading)
            return Options(self._function, skip=len(leading))
        except PluginError:
            raise
        except Exception as error:
            expected = f"{self.function}({', '.join((*leading, '**options'))})"
            raise PluginError(f"{self._at(self._first_line)}: cannot be called as {expected}: {error}") from error

    @property
    def _first_line(self) -> int | None:
        code = getattr(inspect.unwrap(self._function), "__code__", None)
        return code.co_firstlineno if code and code.co_filename == str(self.file) else None

    def _at(self, line: int | None) -> str:
        return f"{self.kind} {self.name!r} ({self.file}{f':{line}' if line else ''})"

    def _failure(self, error: BaseException) -> PluginError:
        """Where in the plugin's own file it failed, and why; what a plugin says on purpose is left as it is."""
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(self.file)]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(self.file) else None
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        return PluginError(f"{self._at(line or (lines[-1] if lines else None))}: {reason}{self._hint(error)}")

    def _hint(self, error: BaseException) -> str:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and (self.file.parent / f"{missing.partition('.')[0]}.py").is_file():
            return "; a plugin is one file and cannot import its neighbors: install shared code as a package"
        return "; install the package that provides it" if missing else ""


@dataclass(frozen=True)
class Registry:
    """All plugins at hand. ``overridden`` holds the built-in ones that a user's plugin of the same name replaces."""

    path: Path
    plugins: tuple[Plugin, ...]
    overridden: tuple[Plugin, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[Plugin, ...]:
        return tuple(plugin for plugin in self.plugins if plugin.kind == kind)

    def get(self, kind: Kind, name: str) -> Plugin:
        """The plugin of that name, or a :class:`PluginError` with the choices."""
        if kind not in KINDS:
            raise PluginError(f"unknown kind {kind!r}{did_you_mean(kind, KINDS)}; known: {', '.join(KINDS)}")
        choices = {plugin.name: plugin for plugin in self.of_kind(kind)}
        if name not in choices:
            known = ", ".join(choices) or "none"
            raise PluginError(f"unknown {kind} {name!r}{did_you_mean(name, choices)}; known in {self.path}: {known}")
        return choices[name]


def bundled_registry() -> Path:
    """The registry that comes with hierpets: inside the wheel, or at the top of a checkout."""
    package = Path(hierpets.__file__).resolve().parent
    wheel = package / "_bundled" / "registry.yaml"
    return wheel if wheel.is_file() else package.parent / "registry.yaml"


def find_registry(explicit: str | Path | None = None) -> Path:
    """The registry asked for, else that of ``HIERPETS_REGISTRY``, else the bundled one."""
    named = str(explicit) if explicit is not None else os.environ.get(VARIABLE)
    if not named:
        return bundled_registry()
    path = Path(named).expanduser()
    if not path.is_file():
        origin = "--registry" if explicit is not None else VARIABLE
        what = "is a folder; name the registry.yaml in it" if path.is_dir() else "no such file"
        raise RegistryError([f"{path}: {what} (from {origin})"])
    return path


def load_registry(path: str | Path | None = None) -> Registry:
    """Read the registry that :func:`find_registry` finds, without running a plugin.

    A user's registry adds to the built-in plugins, and replaces those whose kind and name it uses again; with
    ``builtins: false`` it stands alone. Raises :class:`RegistryError` with every problem at once.
    """
    found = find_registry(path)
    builtin = bundled_registry()
    if found.resolve() == builtin.resolve():
        return Registry(found, _read(found, "builtin")[0])
    own, with_builtins = _read(found, "user")
    inherited = _read(builtin, "builtin")[0] if with_builtins else ()
    taken = {(plugin.kind, plugin.name) for plugin in own}
    kept = tuple(plugin for plugin in inherited if (plugin.kind, plugin.name) not in taken)
    hidden = tuple(plugin for plugin in inherited if (plugin.kind, plugin.name) in taken)
    return Registry(found, (*kept, *own), hidden)


def validate_registry(path: str | Path | None = None, *, imports: bool = False) -> tuple[str, ...]:
    """Everything wrong with a registry, one line each. A plugin's code is run only with ``imports``."""
    found = find_registry(path)
    examination = examine(found)
    more = [examination.at(("plugins", index, "entry"), why) for index, why in examination.unreadable.items()]
    for index, entry in examination.sound.items():
        if imports and index not in examination.unreadable:
            more += _import_problems(examination, index, entry)
    return examination.report(*more)


def _import_problems(examination: Examination, index: int, entry: PluginEntry) -> list[Problem]:
    found = _plugin(entry, examination.path, "user").problems()
    here = ("plugins", index)
    return [examination.at((*here, "options", o) if o else (*here, "entry"), message) for o, message in found]


def _read(path: Path, source: Source) -> tuple[tuple[Plugin, ...], bool]:
    manifest = read_manifest(path)
    return tuple(_plugin(entry, path, source) for entry in manifest.plugins), manifest.builtins


def _plugin(entry: PluginEntry, registry: Path, source: Source) -> Plugin:
    return Plugin(folder=registry.absolute().parent, source=source, **dict(entry))


class _FreshLoader(SourceFileLoader):
    """Compiles the source each time: no stale bytecode, and no ``__pycache__`` beside a user's file."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(file: Path) -> ModuleType:
    """Import by path. The module's name holds a hash of path and content: an edited file is a new module."""
    digest = hashlib.sha256(str(file).encode() + b"\0" + file.read_bytes()).hexdigest()[:16]
    name = f"hierpets_plugin_{digest}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file, loader=_FreshLoader(name, str(file)))
    assert spec is not None  # a loader was given
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
