"""Caches that work goes on without: one that cannot be used is one warning. And SQLite files, as such or as stores."""

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


def forget_oldest(folder: Path, most_bytes: int) -> None:
    """Delete files of a cache and of its folders, those written longest ago first, until it holds at most so much. The
    newest stays.

    :raises OSError: the folder cannot be listed.
    """
    written: list[tuple[int, int, Path]] = []
    for file in (*folder.iterdir(), *folder.glob("*/*")):
        with suppress(OSError):  # another process deletes as well
            stat = file.stat()
            if S_ISREG(stat.st_mode):
                written.append((stat.st_mtime_ns, stat.st_size, file))
    held = 0
    for number, (_, size, file) in enumerate(sorted(written, reverse=True)):
        held += size
        if number and held > most_bytes:
            with suppress(OSError):  # on Windows, one that is in use
                file.unlink()
                if file.parent != folder:
                    file.parent.rmdir()  # unless it holds more


class SqliteCache:
    """A SQLite file that may fail at any time, at its opening or later: then a warning, and an empty one in memory.

    ``prepare`` makes the tables that are missing.
    """

    def __init__(self, file: Path, prepare: Callable[[sqlite3.Connection], None]):
        self._file, self._prepare = file, prepare
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open(file)
        except (OSError, sqlite3.Error) as error:
            self._go_without(error)

    def row(self, query: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row that a query finds."""
        try:
            found: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        except sqlite3.Error as error:
            self._go_without(error)
            return None
        return found

    def store(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row, for all or for none."""
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
    """A SQLite file that holds what would be lost with it: where it fails, work stops.

    :raises DataError: from each of its methods; what was stored before is kept.
    """

    def _go_without(self, error: Exception) -> NoReturn:
        raise DataError(
            f"{self._file}: cannot be written: {reason_of(error)}; what is finished is kept: mend this, such as a full "
            "disk, then continue with resume"
        ) from error
