"""Progress reports of long-running work."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Progress", "no_progress"]


@runtime_checkable
class Progress(Protocol):
    """Called with the name of a task and how many of its ``total`` items are done (None: not known yet)."""

    def __call__(self, task: str, done: int, total: int | None, /) -> None: ...


def no_progress(_task: str, _done: int, _total: int | None, /) -> None:
    """Report nothing; the default."""
