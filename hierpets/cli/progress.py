"""How a run's events look: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

__all__ = ["Narrator"]

EVERY = 0.25  # of a task, between two lines when there is no terminal


class Narrator:
    """Listens to the events of a run and shows them on standard error; standard output stays for answers."""

    def __init__(self, describe: Callable[[dict[str, Any]], str | None]):
        self._describe = describe
        self._bar: Any = None
        self._task: str | None = None
        self._told = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            show = self._show_bar if sys.stderr.isatty() else self._show_line
            show(event["task"], event["done"], event["total"])
            return
        line = self._describe(event)
        if line is not None:
            self.close()
            click.echo(line, err=True)

    def close(self) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task = None, None

    def _show_bar(self, task: str, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._task != task:
            self.close()
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.add_task(task, total=total)
            self._bar.start()
            self._task = task
        self._bar.update(0, completed=done, total=total)
        if done >= total:
            self.close()

    def _show_line(self, task: str, done: int, total: int) -> None:
        if self._task != task:
            self._task, self._told = task, 0.0
        share = done / max(total, 1)
        if share >= self._told + EVERY or (done >= total > 0 and self._told < 1.0):
            self._told = share
            click.echo(f"{task}: {done} of {total}", err=True)
