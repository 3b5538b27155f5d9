"""``hierpets plugins``: list, check and create plugins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierpets.cli.options import GivenPath, registry_option
from hierpets.plugin.kinds import KINDS, Kind

if TYPE_CHECKING:
    from hierpets.registry.installed import BrokenPackage
    from hierpets.registry.plugin import Plugin

__all__ = ["command"]

HERE = Path("registry.yaml")
PIPED_WIDTH = 160  # columns of the table where there is no terminal to ask


@click.group("plugins")
def command() -> None:
    """List, check and create plugins: backbones, samplers, shampoo rules, readers and trackers."""


@command.command("list", short_help="Show every plugin and where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@registry_option
def list_plugins(registry: Path | None, as_json: bool) -> None:
    """Show every plugin: built in, from installed packages, and from your registry.yaml.

    A plugin that cannot be imported is shown as broken. Those of installed packages are listed without being imported.
    """
    from hierpets.registry.loading import load_registry

    found = load_registry(registry)
    rows = [_row(plugin, overridden=False) for plugin in found.plugins]
    rows += [_row(plugin, overridden=True) for plugin in found.overridden]
    rows.sort(key=lambda row: KINDS.index(row["kind"]))
    rows += map(_broken_row, found.broken)
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
    else:
        _print_table(found.path, rows)


@command.command("validate")
@click.option("--imports", is_flag=True, help="Also import each plugin and check its options.")
@click.option(
    "--registry",
    type=GivenPath(),
    metavar="FILE",
    help="The registry.yaml to check; default: HIERPETS_REGISTRY, then the one in this folder, then the built-in one.",
)
def validate(registry: Path | None, imports: bool) -> None:
    """Check a registry.yaml and report every problem at once. Without --imports, no plugin code runs."""
    from hierpets.errors import RegistryError
    from hierpets.registry.loading import VARIABLE, find_registry, validate_registry

    if registry is None and not os.environ.get(VARIABLE) and HERE.is_file():
        registry = HERE
    problems = validate_registry(registry, imports=imports)
    if problems:
        raise RegistryError(problems)
    click.echo(f"{find_registry(registry)}: {'valid, and every plugin can be imported' if imports else 'valid'}")


@command.command("new", short_help="Write a small working plugin to start from.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--registry",
    type=GivenPath(dir_okay=False),
    default=HERE,
    metavar="FILE",
    help="The registry.yaml to add to; created if missing.  [default: the one in this folder]",
)
def new(kind: Kind, name: str, registry: Path) -> None:
    """Write a small working plugin of KIND called NAME, and add it to registry.yaml."""
    from hierpets.registry.loading import load_registry
    from hierpets.registry.scaffold import create_plugin

    file = create_plugin(kind, name, registry)
    click.echo(f"wrote {file} and listed it in {registry}")
    for plugin in load_registry(registry).overridden:
        if (plugin.kind, plugin.name) == (kind, name):
            click.echo(f"it replaces the {kind} {name!r} ({plugin.source})")
    click.echo(f"check it with: hierpets plugins validate --imports --registry {registry}")


def _row(plugin: Plugin, *, overridden: bool) -> dict[str, Any]:
    accepted, problem = _examine(plugin)
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "source": plugin.source,
        "entry": plugin.entry,
        "file": str(plugin.file),
        "options": plugin.options,
        "accepts": list(accepted),
        "description": plugin.description,
        "status": "broken" if problem else "overridden" if overridden else "ok",
        "error": problem,
    }


def _examine(plugin: Plugin) -> tuple[tuple[str, ...], str | None]:
    """The options that a plugin takes, and what is wrong with it. The code of an installed package is not run."""
    if plugin.is_installed:
        return plugin.read_option_names()
    problems = plugin.problems()
    importable = all(problem.location for problem in problems)
    text = "; ".join(f"option {problem}" if problem.location else problem.message for problem in problems)
    return plugin.option_names if importable else (), text or None


def _broken_row(package: BrokenPackage) -> dict[str, Any]:
    unknown = dict.fromkeys(("kind", "name", "entry", "file", "description"))
    return {
        **unknown,
        "source": package.source,
        "options": {},
        "accepts": [],
        "status": "broken",
        "error": package.problem,
    }


def _print_table(path: Path, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(str(path)), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("kind", "name", "source", "status", "options", "entry"):
        table.add_column(column, overflow="fold", no_wrap=column in ("kind", "name", "source"))
    for row in rows:
        style = {"broken": "red", "overridden": "dim"}.get(row["status"])
        status = f"{row['status']}: {row['error']}" if row["error"] else row["status"]
        cells = [row["kind"] or "", row["name"] or "", row["source"], status, _options(row), row["entry"] or ""]
        table.add_row(*map(escape, cells), style=style)
    wide = None if Console().is_terminal else PIPED_WIDTH
    Console(width=wide).print(table)


def _options(row: dict[str, Any]) -> str:
    """The options of a plugin: those set in registry.yaml with their values, the others by name."""
    given = row["options"]
    names = [*row["accepts"], *(name for name in given if name not in row["accepts"])]
    return ", ".join(f"{name}={given[name]!r}" if name in given else name for name in names)
