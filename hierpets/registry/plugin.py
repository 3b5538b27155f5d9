"""One plugin of a registry: imported at first use, and its result checked against the contract of its kind."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hierpets.errors import ConfigError, DataError, DeviceError, PluginError, within_gpu_memory
from hierpets.plugin import Backbone
from hierpets.plugin.contracts import ContractError, check_result
from hierpets.plugin.kinds import LEADING_ARGUMENTS, Kind
from hierpets.plugin.options import Options
from hierpets.registry.entries import PluginEntry, split_entry
from hierpets.registry.importing import import_file
from hierpets.registry.source import read_source
from hierpets.validation.problems import ValidationProblem, one_line

__all__ = ["BUILTIN", "USER", "Plugin", "plugins_of"]

BUILTIN, USER = "builtin", "user"
GIVEN_BY_SETTINGS: tuple[Kind, ...] = ("backbone", "sampler")
"""Kinds whose options training settings may give (``backbone_options``); those of others come from the registry."""


@dataclass(frozen=True)
class Plugin:
    """One entry of a registry. Its code runs on :meth:`load` and :meth:`call`, not before.

    ``source`` is ``"builtin"``, ``"user"``, or the name and version of the distribution that brought it.
    """

    name: str
    kind: Kind
    registry: Path  # the absolute path of the registry.yaml that lists it
    entry: str
    options: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    source: str = USER

    @property
    def is_installed(self) -> bool:
        """Whether it came with an installed package."""
        return self.source not in (BUILTIN, USER)

    @property
    def file(self) -> Path:
        return self.registry.parent / split_entry(self.entry)[0]

    @property
    def function(self) -> str:
        return split_entry(self.entry)[1]

    def load(self) -> Callable[..., Any]:
        """The function itself, from its file, wherever the current directory is."""
        return self._function

    def call(self, *args: Any, **overrides: Any) -> Any:
        """Call the plugin with the registry's options and ``overrides``, and check the result.

        A backbone returns a :class:`~hierpets.plugin.Backbone`, a sampler float64 [N], a shampoo rule a tuple of
        :class:`~hierpets.plugin.Advice`, a reader an iterator of :class:`~hierpets.plugin.SourcePhoto`, a tracker a
        :data:`~hierpets.plugin.Tracker`.

        :raises PluginError: the plugin fails, with file and line; a reader may also fail later, while it is iterated.
        :raises DataError: a reader found something wrong with the data.
        """
        options = self.resolve(**overrides) if overrides else self._own_options
        with self.located():
            result = check_result(self.kind, self._function(*args, **options), args)
        if isinstance(result, Backbone):
            return replace(result, guard=self.located)
        return self._guarded(result) if isinstance(result, Iterator) else result

    def call_without_weights(self, **overrides: Any) -> Any:
        """Call a backbone whose weights come from elsewhere: with ``pretrained=False`` if it has that option."""
        if "pretrained" in self.option_names:
            overrides["pretrained"] = False
        return self.call(**overrides)

    def resolve(self, **overrides: Any) -> dict[str, Any]:
        """Return every option with the value that :meth:`call` would use, converted to its annotated type.

        :raises PluginError: an option is unknown, missing or of the wrong type.
        """
        values, problems = self._options.read({**self.options, **overrides})
        if problems:
            text = "; ".join(f"option {problem}" for problem in problems)
            raise PluginError(f"{self.where}: {text}")
        return values

    @property
    def option_names(self) -> tuple[str, ...]:
        """Names of the options that the function takes, in order."""
        return self._options.names

    def read_option_names(self) -> tuple[tuple[str, ...], str | None]:
        """Read :attr:`option_names` from the source without importing it, as far as possible.

        The second item says why the source cannot be read, if it cannot.
        """
        source = read_source(self.file)
        sketch = source.functions.get(self.function)
        error = f"{self._at(None)}: {source.error}" if source.error else None
        return sketch.options(len(LEADING_ARGUMENTS[self.kind])) if sketch else (), error

    @property
    def where(self) -> str:
        """How messages name the plugin: its kind, name, file and the line of its function."""
        return self._at(self._first_line)

    def problems(self) -> list[ValidationProblem]:
        """Import the plugin and list the problems of itself (with an empty location) and of its registered options.

        A missing option is not a problem for kinds whose options may also come from settings.
        """
        try:
            _, problems = self._options.read(self.options)
        except PluginError as error:
            return [ValidationProblem((), str(error))]
        if self.kind not in GIVEN_BY_SETTINGS:
            return problems
        return [problem for problem in problems if problem.location[0] in self.options]

    @contextmanager
    def located(self) -> Iterator[None]:
        """Turn errors inside into a PluginError that says where; but keep a reader's own errors, and those of a GPU
        out of memory, which is not the plugin's fault.

        Also guards what a plugin returned: a backbone's network runs long after the call.
        """
        try:
            with within_gpu_memory():
                yield
        except ContractError as error:
            raise PluginError(f"{self.where}: {error}") from error
        except DeviceError:
            raise
        except (Exception, SystemExit) as error:
            if self.kind == "reader" and isinstance(error, ConfigError | DataError):
                raise
            raise self._failure(error) from error

    def _guarded(self, items: Iterator[Any]) -> Iterator[Any]:
        """Iterate a generator inside :meth:`located`: its code runs only now."""
        with self.located():
            yield from items

    @cached_property
    def _own_options(self) -> dict[str, Any]:
        """The options of a call without overrides; cached, as a rule is called for every photo."""
        return self.resolve()

    @cached_property
    def _function(self) -> Callable[..., Any]:
        try:
            function = getattr(import_file(self.file), self.function, None)
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error
        if not callable(function):
            raise PluginError(f"{self._at(None)}: expected a function {self.function!r} in this file, got {function!r}")
        return function

    @cached_property
    def _options(self) -> Options:
        function = self._function
        try:
            return Options(function, self.kind)
        except TypeError as error:
            raise PluginError(f"{self.where}: {error}") from error

    @property
    def _first_line(self) -> int | None:
        code = getattr(inspect.unwrap(self._function), "__code__", None)
        return code.co_firstlineno if code and code.co_filename == str(self.file) else None

    def _at(self, line: int | None) -> str:
        return f"{self.kind} {self.name!r} ({self.file}{f':{line}' if line else ''})"

    def _failure(self, error: BaseException) -> PluginError:
        """A PluginError that says where in the plugin's file it failed and why. The message of a ``PluginError`` that
        the plugin raised is kept; other errors are preceded by their type.
        """
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(self.file)]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(self.file) else None
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {one_line(error)}"
        return PluginError(f"{self._at(line or (lines[-1] if lines else None))}: {reason}{self._hint(error)}")

    def _hint(self, error: BaseException) -> str:
        if isinstance(error, ImportError) and "relative import" in str(error):
            return "; a plugin is one file of no package: import what lies beside it by its full name, from a package"
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and (self.file.parent / f"{missing.partition('.')[0]}.py").is_file():
            return "; a plugin is one file and cannot import its neighbors: install shared code as a package"
        return "; install the package that provides it" if missing else ""


def plugins_of(entries: Iterable[PluginEntry], registry: Path, source: str) -> tuple[Plugin, ...]:
    """Make the plugins of entries that the file ``registry`` lists."""
    return tuple(Plugin(registry=registry.absolute(), source=source, **dict(entry)) for entry in entries)
