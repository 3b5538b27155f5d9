"""Plugins of installed packages: found by the entry points of their distributions, without importing a package."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from hierpets.errors import RegistryError
from hierpets.registry.examine import read_registry_file
from hierpets.registry.plugin import Plugin, plugins_of

__all__ = ["GROUP", "BrokenPackage", "Installed", "read_installed"]

GROUP = "hierpets.plugins"


class BrokenPackage(NamedTuple):
    """A distribution whose plugins cannot be listed, and the reason in one line."""

    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: its plugins are left out: {self.problem}"


class Installed(NamedTuple):
    """The plugins of all distributions, sorted by the distributions' names, and the distributions that are broken."""

    plugins: tuple[Plugin, ...]
    broken: tuple[BrokenPackage, ...]


def read_installed() -> Installed:
    """Read the ``registry.yaml`` of every package that an entry point of the group ``hierpets.plugins`` names.

    A package with an invalid one becomes a :class:`BrokenPackage`; the others are not affected.
    """
    plugins: list[Plugin] = []
    broken: list[BrokenPackage] = []
    for source, package, entry_point in sorted(_packages()):
        try:
            path = _find_registry_file(package, entry_point)
            plugins += plugins_of(read_registry_file(path).plugins, path, source)
        except RegistryError as error:
            more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
            broken.append(BrokenPackage(source, error.problems[0] + more))
    return Installed(tuple(plugins), tuple(broken))


def _packages() -> Iterator[tuple[str, str, EntryPoint]]:
    """Yield ``("alpaca-care 1.2", "alpaca_care", entry_point)``, once for each package that a distribution names."""
    seen = set()
    for entry_point in entry_points(group=GROUP):
        source = f"{entry_point.dist.name} {entry_point.dist.version}" if entry_point.dist else entry_point.name
        if (source, entry_point.value) not in seen:
            seen.add((source, entry_point.value))
            yield source, entry_point.value, entry_point


def _find_registry_file(package: str, entry_point: EntryPoint) -> Path:
    """Find ``registry.yaml`` in a package: where its distribution installed it, else where Python would import it."""
    if not re.fullmatch(r"\w+(\.\w+)*", package):
        raise RegistryError([f"the entry point {entry_point.name!r} must be the name of a package, got {package!r}"])
    parts = package.split(".")
    folders = [entry_point.dist.locate_file(Path(*parts))] if entry_point.dist else []
    # Look up only the outermost package: looking up one inside it would import the outer one.
    folders += [Path(folder, *parts[1:]) for folder in _search_locations(parts[0])]
    for folder in map(Path, map(str, folders)):
        if (folder / "registry.yaml").is_file():
            return folder / "registry.yaml"
    raise RegistryError([f"no registry.yaml in the package {package!r}"])


def _search_locations(package: str) -> list[str]:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return list(spec.submodule_search_locations or []) if spec else []
