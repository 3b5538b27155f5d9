"""How all long-running work reports its progress."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Progress", "no_progress"]


@runtime_checkable
class Progress(Protocol):
    """Called with the name of the task and how many pieces of it are done, of ``total`` (None: not known yet)."""

    def __call__(self, task: str, done: int, total: int | None, /) -> None: ...


def no_progress(_task: str, _done: int, _total: int | None, /) -> None:
    """Report nothing; the default."""
