"""Shows progress on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

__all__ = ["ProgressDisplay", "time_left"]

EVERY = 10.0  # seconds between two lines when there is no terminal
REFRESH = 0.1  # seconds between two updates of a bar


class ProgressDisplay:
    """The :class:`~hierpets.progress.Progress` of commands, as a context manager that always removes the bar.

    The first number of a task is where it starts, and does not count towards its speed.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._task: _Task | None = None
        self._bar: Any = None

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __call__(self, name: str, done: int, total: int | None, /) -> None:
        if self._task is None or not self._task.continues(name, done, total):
            self.close()
            self._task = _Task(name, done, self._clock())
            if done and done != total:
                click.echo(f"{name}: continuing after {done}", err=True)
        task = self._task
        task.done, task.total = done, total
        if done == task.last_shown:
            return
        finished = total is not None and done >= total
        if finished or self._clock() >= task.shown_at + (REFRESH if sys.stderr.isatty() else EVERY):
            self._show(task)

    def say(self, line: str) -> None:
        """Print a line between two tasks, or within one, which continues."""
        self._pause()
        click.echo(line, err=True)

    def close(self) -> None:
        """Remove the bar; without a terminal, print how far an unfinished task came."""
        self._pause()
        self._task = None

    def _pause(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif (task := self._task) is not None and task.done not in (task.first, task.total, task.last_shown):
            self._show(task)

    def _show(self, task: _Task) -> None:
        task.shown_at, task.last_shown = self._clock(), task.done
        line = task.line(task.shown_at)
        if not sys.stderr.isatty():
            click.echo(line, err=True)
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(BarColumn(), TextColumn("{task.fields[line]}"), console=Console(stderr=True))
            self._bar.add_task(task.name, total=None, line="")
            self._bar.start()
        self._bar.update(0, completed=task.done, total=task.total, line=line)


class _Task:
    """The progress of one task."""

    def __init__(self, name: str, first: int, began: float):
        self.name, self.first, self.began, self.shown_at = name, first, began, began
        self.done, self.total, self.last_shown = first, None, None

    done: int
    total: int | None
    last_shown: int | None

    def continues(self, name: str, done: int, total: int | None) -> bool:
        """Whether this is another step of the task, and not the first one of a new task with the same name."""
        return name == self.name and done >= self.done and (self.done != self.total or total == self.total)

    def line(self, now: float) -> str:
        """The line to show, such as ``photos: 140 of 400, 4.0/s, 0:01:05 left``."""
        text = f"{self.name}: {self.done}" + ("" if self.total is None else f" of {self.total}")
        speed = (self.done - self.first) / max(now - self.began, 1e-9)
        left = time_left(self.done, self.total, speed) if self.done != self.total else None
        if self.done == self.first:
            return text
        pace = f"{speed:.1f}/s" if speed >= 0.1 else f"{1 / speed:.0f} s each"
        return f"{text}, {pace}" + (f", {left} left" if left else "")


def time_left(done: int, total: int | None, speed: float) -> str | None:
    """Hours, minutes and seconds until the end, ``"1:02:03"``; None if it cannot be estimated."""
    if total is None or speed <= 0:
        return None
    seconds = round(max(0, total - done) / speed)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
