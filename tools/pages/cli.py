"""``docs/cli.md``: every command with its arguments and options, from click."""

from __future__ import annotations

import html
import inspect
from collections.abc import Iterator

import click

from hierpets.cli import cli

__all__ = ["cli_page"]

HEAD = """# The command line

Generated from the code by `python tools/reference.py cli`; `hierpets COMMAND --help` says the same.

Exit codes: 0 done, 1 an error, 2 wrong usage, 3 some photos could not be read, 130 interrupted with Ctrl-C. An error is
a line that begins with `error:`; `hierpets --debug COMMAND` adds its traceback.
"""


def cli_page() -> str:
    """Return the whole page."""
    root = click.Context(cli, info_name="hierpets")
    return "\n".join([HEAD, *(part for name in cli.list_commands(root) for part in _command(root, name, level=2))])


def _command(parent: click.Context, name: str, level: int) -> Iterator[str]:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    yield f"{'#' * level} {context.command_path}\n"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield _literal(inspect.cleandoc(command.help or "")) + "\n"
    yield from _options(context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            yield from _command(context, child, level + 1)


def _options(context: click.Context) -> Iterator[str]:
    options = [parameter for parameter in context.command.params if isinstance(parameter, click.Option)]
    records = filter(None, (option.get_help_record(context) for option in options))
    rows = [f"| <code>{_cell(flags)}</code> | {_literal(_cell(meaning))} |" for flags, meaning in records]
    if rows:
        yield "\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    """Escape text for a table cell. A bar becomes an entity, because some Markdown renderers show a backslash before
    it.
    """
    return html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;")


def _literal(text: str) -> str:
    """Escape asterisks: help texts are not Markdown, and have them in file patterns."""
    return text.replace("*", "\\*")
