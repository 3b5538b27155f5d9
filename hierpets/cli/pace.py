"""How far a long run has come, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from hierpets.errors import HierpetsError

__all__ = ["Pace", "time_left"]

EVERY = 10.0  # seconds between two lines when there is no terminal


class Pace:
    """Told how many photos are done; shows photos a second and the time left.

    The first number told is where this run begins, and does not count as speed. ``count`` gives how many there are, or
    None; it may take long, so it is asked in a thread, and until it knows, no end is shown.
    """

    def __init__(self, count: Callable[[], int | None], *, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._total: int | None = None
        # A daemon: what is stopped does not wait for the end of the count.
        self._thread = threading.Thread(target=self._find_total, args=(count,), name="count", daemon=True)
        self._thread.start()
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._began = self._told = clock()
        self._before: int | None = None
        self._done = 0

    def __call__(self, done: int) -> None:
        self._done = done
        if self._before is None:
            self._begin(done)
        elif self._terminal:
            self._show_bar()
        elif self._clock() >= self._told + EVERY:
            self._told = self._clock()
            click.echo(self._line(), err=True)

    def _begin(self, before: int) -> None:
        self._before, self._began = before, self._clock()
        if before:
            click.echo(f"going on after {before} photos", err=True)

    def close(self) -> None:
        """Take the bar down and say what was done."""
        if self._bar is not None:
            self._bar.stop()
        if self._before is not None and self._done > self._before:
            click.echo(f"{self._done} photos, {self._speed():.1f} a second", err=True)

    def _find_total(self, count: Callable[[], int | None]) -> None:
        with suppress(HierpetsError):  # the run itself will meet it, and tell
            self._total = count()

    def _speed(self) -> float:
        return (self._done - (self._before or 0)) / max(self._clock() - self._began, 1e-9)

    def _line(self) -> str:
        told = f"{self._done}" if self._total is None else f"{self._done} of {self._total}"
        left = time_left(self._done, self._total, self._speed())
        return f"{told} photos, {self._speed():.1f} a second" + (f", {left} left" if left else "")

    def _show_bar(self) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = BarColumn(), TextColumn("{task.fields[line]}")
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.add_task("photos", total=None, line="")
            self._bar.start()
        if self._clock() >= self._told + 0.1:
            self._told = self._clock()
            self._bar.update(0, completed=self._done, total=self._total, line=self._line())


def time_left(done: int, total: int | None, speed: float) -> str | None:
    """Hours, minutes and seconds until the end, ``"1:02:03"``; None where that cannot be told."""
    if total is None or speed <= 0:
        return None
    seconds = round(max(0, total - done) / speed)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
