"""The command line. Each command is a file that is imported when it is called, and imports heavy libraries itself."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import click

from hierpets.cli.exits import INTERRUPTED
from hierpets.cli.log import print_log_safely
from hierpets.cli.usage import advised
from hierpets.errors import HierpetsError, did_you_mean, reason_of
from hierpets.libraries import needed_for
from hierpets.text import escaped

__all__ = ["main"]

WIND_DOWN = 3.0  # seconds
DOCUMENTATION = "The pages of docs/ are at https://hierpets.github.io/hierpets/."

# name -> (module in hierpets.cli, line shown by `hierpets --help`)
COMMANDS = {
    "audit": ("develop.audit", "Find problems in labeled photos."),
    "bench": ("deploy.bench", "Measure speed and memory of a bundle on this machine."),
    "catalog": ("deploy.catalog", "Check and show coats, ingredients and shampoos."),
    "checklist": ("develop.checklist", "Check a training run before you trust its model."),
    "compare": ("develop.compare", "Test whether one model is better than another on the same photos."),
    "evaluate": ("develop.evaluate", "Measure a bundle at every level on labeled photos."),
    "explain": ("deploy.explain", "Show where the network looked for species and breed."),
    "export": ("deploy.export", "Write a bundle for another runtime, or as a page that answers in the browser."),
    "forget": ("develop.forget", "Take a breed or species out of a bundle."),
    "grow": ("develop.grow", "Add breeds and species to a bundle from a few photos."),
    "info": ("deploy.info", "Describe a bundle: classes, thresholds, training, size."),
    "inspect": ("deploy.inspect", "Show the tensors at every pipeline stage for one photo."),
    "plan": ("develop.plan", "Say what labeled photos can promise, and what more of them would bring."),
    "plugins": ("develop.plugins", "List, check and create plugins."),
    "predict": ("deploy.predict", "Predict the species and breed of pets in photos."),
    "serve": ("deploy.serve", "Serve a bundle: a page to drop photos on, and an HTTP API."),
    "train": ("develop.train", "Train a bundle on labeled photos."),
}


class LazyGroup(click.Group):
    """A group that lists its commands by name and imports one only when it is called.

    After click's documentation, "Lazily Loading Subcommands".
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        return import_module(f"hierpets.cli.{module}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=DOCUMENTATION)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="hierpets")
def cli(debug: bool) -> None:
    """Predict the species and breed of a pet from a photo, with calibrated confidence and a safe shampoo."""


def main(args: list[str] | None = None) -> None:
    """Run the command line. Exit codes: 0 done, 1 an error, 2 wrong usage, 3 some photos failed, 130 Ctrl-C.

    If the reader of a pipe closes it, as ``head`` does, the command exits silently with code 1.
    """
    argv = sys.argv[1:] if args is None else args
    if sys.stdout is None:  # closed: open for reading, so that writes fail and no other file gets its descriptor
        sys.stdout = Path(os.devnull).open()  # noqa: SIM115  # until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):  # write characters that its encoding lacks as \uXXXX, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    may_handle_signals = threading.current_thread() is threading.main_thread()
    if may_handle_signals and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _Interrupt())
    print_log_safely()
    try:
        sys.exit(_run(argv))
    except (HierpetsError, OSError) as error:
        if "--debug" in argv:
            traceback.print_exc()
        for line in _lines(error):
            click.echo(f"error: {escaped(line)}", err=True)
        sys.exit(1)


class _Interrupt:
    """Handles Ctrl-C, but ignores repetitions in the next seconds: from an impatient user or a tool that signals twice,
    they would stop the threads of a run from ending in order.
    """

    def __init__(self) -> None:
        self._ignored_until = 0.0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now >= self._ignored_until:
            self._ignored_until = now + WIND_DOWN
            raise KeyboardInterrupt


def _lines(error: HierpetsError | OSError) -> list[str]:
    """The lines to print for an error. An OSError without a file concerns standard output: others are caught before."""
    if isinstance(error, io.UnsupportedOperation):
        return ["cannot write the output: standard output is closed"]
    if isinstance(error, OSError):
        return [f"{error.filename or 'cannot write the output'}: {reason_of(error)}"]
    return str(error).splitlines() or [type(error).__name__]


def _run(argv: list[str]) -> Any:
    try:
        with needed_for(next((a for a in argv if a in COMMANDS), "hierpets")):
            # A command's return value is its exit code; None means done.
            return cli.main([a for a in argv if a != "--debug"], prog_name="hierpets", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        advised(error).show()
        return error.exit_code
