"""Caches, which are optional: one that cannot be used causes one warning. And SQLite files, as caches or stores."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Any, NoReturn

from hierpets.errors import DataError, reason_of

__all__ = ["SqliteCache", "SqliteStore", "forget_oldest", "warn_uncached"]


@cache
def warn_uncached(path: Path, problem: str) -> None:
    """Warn, once, that a cache is not used."""
    logging.getLogger(__name__).warning(
        "%s: cache not used: %s; delete it or set HIERPETS_CACHE to a writable folder", path, problem
    )


def forget_oldest(folder: Path, max_bytes: int) -> None:
    """Delete the oldest files of a cache and its folders until it holds at most ``max_bytes``. The newest file stays.

    :raises OSError: the folder cannot be listed.
    """
    written: list[tuple[int, int, Path]] = []
    for file in (*folder.iterdir(), *folder.glob("*/*")):
        with suppress(OSError):  # another process deletes as well
            stat = file.stat()
            if S_ISREG(stat.st_mode):
                written.append((stat.st_mtime_ns, stat.st_size, file))
    total = 0
    for number, (_, size, file) in enumerate(sorted(written, reverse=True)):
        total += size
        if number and total > max_bytes:
            with suppress(OSError):  # in use, on Windows
                file.unlink()
                if file.parent != folder:
                    file.parent.rmdir()  # fails, as it should, if the folder is not empty


class SqliteCache:
    """A SQLite file as a cache. If it fails, when opened or later, it is replaced by an empty one in memory, with a
    warning.

    ``prepare`` creates missing tables.
    """

    def __init__(self, file: Path, prepare: Callable[[sqlite3.Connection], None]):
        self._file, self._prepare = file, prepare
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open(file)
        except (OSError, sqlite3.Error) as error:
            self._go_without(error)

    def row(self, query: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row that a query returns; None if there is none."""
        try:
            found: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        except sqlite3.Error as error:
            self._go_without(error)
            return None
        return found

    def store(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row, in one transaction."""
        rows = list(rows)
        try:
            self._store(statement, rows)
        except sqlite3.Error as error:
            self._go_without(error)
            self._store(statement, rows)

    def close(self) -> None:
        self._database.close()

    def _store(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._database:
            self._database.executemany(statement, rows)

    def _go_without(self, error: Exception) -> None:
        warn_uncached(self._file, str(error))
        self._database = self._open(":memory:")

    def _open(self, file: Path | str) -> sqlite3.Connection:
        database = sqlite3.connect(file, timeout=60)
        self._prepare(database)
        return database


class SqliteStore(SqliteCache):
    """A SQLite file that holds results, so that a failure is an error.

    :raises DataError: by each of its methods; what was stored before is kept.
    """

    def _go_without(self, error: Exception) -> NoReturn:
        raise DataError(
            f"{self._file}: cannot be written: {reason_of(error)}; what is finished is kept: mend this, such as a full "
            "disk, then continue with resume"
        ) from error
