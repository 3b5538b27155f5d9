"""Loads a registry together with the plugins of installed packages and the built-in ones."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import hierpets
from hierpets.errors import PluginError, RegistryError, check_path, did_you_mean
from hierpets.plugin.kinds import Kind, check_kind
from hierpets.registry.entries import PluginEntry
from hierpets.registry.examine import Examination, Problem, examine, read_registry_file
from hierpets.registry.installed import BrokenPackage, Installed, read_installed
from hierpets.registry.plugin import BUILTIN, USER, Plugin, plugins_of

__all__ = ["Registry", "bundled_registry", "find_registry", "load_registry", "validate_registry"]

VARIABLE = "HIERPETS_REGISTRY"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registry:
    """All available plugins. ``overridden`` holds those replaced by another one of the same kind and name, ``broken``
    the installed packages whose plugins cannot be listed.
    """

    path: Path
    plugins: tuple[Plugin, ...]
    overridden: tuple[Plugin, ...] = ()
    broken: tuple[BrokenPackage, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[Plugin, ...]:
        return tuple(plugin for plugin in self.plugins if plugin.kind == kind)

    def get(self, kind: Kind, name: str) -> Plugin:
        """Return the plugin of a kind and name.

        :raises PluginError: there is none; the message lists the choices.
        """
        try:
            choices = {plugin.name: plugin for plugin in self.of_kind(check_kind(kind))}
        except ValueError as error:
            raise PluginError(str(error)) from None
        if name not in choices:
            known = ", ".join(choices) or "none"
            raise PluginError(f"unknown {kind} {name!r}{did_you_mean(name, choices)}; known in {self.path}: {known}")
        return choices[name]


def bundled_registry() -> Path:
    """Return the path of the registry that comes with hierpets: in the wheel, or at the top of a checkout."""
    package = Path(hierpets.__file__).resolve().parent
    wheel = package / "_bundled" / "registry.yaml"
    return wheel if wheel.is_file() else package.parent / "registry.yaml"


def find_registry(explicit: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the registry: ``explicit``, else that in ``HIERPETS_REGISTRY``, else the built-in one.

    :raises ConfigError: ``explicit`` is not a path, or empty.
    :raises RegistryError: the file does not exist.
    """
    check_path("registry", explicit)
    named = os.fspath(explicit) if explicit is not None else os.environ.get(VARIABLE)
    if not named:
        return bundled_registry()
    path = Path(os.path.expanduser(named))  # noqa: PTH111  Path's raises where there is no such user
    if not path.is_file():
        origin = "" if explicit is not None else f" (from {VARIABLE})"
        what = "is a folder; name the registry.yaml in it" if path.is_dir() else "no such file"
        raise RegistryError([f"{path}: {what}{origin}"])
    return path


def load_registry(source: Registry | str | os.PathLike[str] | None = None) -> Registry:
    """Read the registry that :func:`find_registry` finds, without importing a plugin. A :class:`Registry` is returned
    as it is.

    Its plugins replace those of installed packages with the same kind and name, and those replace built-in ones. With
    ``builtins: false`` in a user's registry, only its own plugins are available. A broken installed package, and two
    with the same plugin, are logged as a warning.

    :raises RegistryError: the registry is invalid; with every problem at once.
    """
    if isinstance(source, Registry):
        return source
    found, builtin = find_registry(source), bundled_registry()
    own: tuple[Plugin, ...] = ()
    if found.resolve() != builtin.resolve():
        content = read_registry_file(found)
        own = plugins_of(content.plugins, found, USER)
        if not content.builtins:
            return Registry(found, own)
    installed = read_installed()
    _warn(installed)
    built_in = plugins_of(read_registry_file(builtin).plugins, builtin, BUILTIN)
    return _lay_over(found, [*built_in, *installed.plugins, *own], installed.broken)


def _lay_over(path: Path, plugins: list[Plugin], broken: tuple[BrokenPackage, ...]) -> Registry:
    """Make a registry of plugins, of which the last one of each kind and name overrides the others."""
    winners = {(plugin.kind, plugin.name): plugin for plugin in plugins}
    kept = [plugin for plugin in plugins if winners[plugin.kind, plugin.name] is plugin]
    hidden = [plugin for plugin in plugins if winners[plugin.kind, plugin.name] is not plugin]
    return Registry(path, tuple(kept), tuple(hidden), broken)


def _warn(installed: Installed) -> None:
    for package in installed.broken:
        _log.warning("%s", package)
    last: dict[tuple[str, str], Plugin] = {}
    for plugin in installed.plugins:
        other = last.get((plugin.kind, plugin.name))
        if other is not None:
            clash = f"{plugin.kind} {plugin.name!r} is in {other.source} and in {plugin.source}"
            _log.warning("%s; the latter is used: uninstall one, or list the one to use in a registry.yaml", clash)
        last[plugin.kind, plugin.name] = plugin


def validate_registry(path: str | Path | None = None, *, imports: bool = False) -> tuple[str, ...]:
    """List every problem of a registry, in one line each. Plugins are imported, and so their code run, only with
    ``imports``.
    """
    examination = examine(find_registry(path))
    at = examination.document.at
    more = [at(("plugins", index, "entry"), why) for index, why in examination.unreadable.items()]
    for index, entry in examination.valid.items():
        if imports and index not in examination.unreadable:
            more += _import_problems(examination, index, entry)
    return examination.report(*more)


def _import_problems(examination: Examination, index: int, entry: PluginEntry) -> list[Problem]:
    (plugin,) = plugins_of([entry], examination.path, USER)
    return [
        examination.document.at(("plugins", index, *(("options", *place) if place else ("entry",))), message)
        for place, message in plugin.problems()
    ]
