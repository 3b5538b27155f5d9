"""Digests of photos by address, as computed by the workers of a cluster."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from hierpets.cache import SqliteStore
from hierpets.errors import DataError

__all__ = ["DIGEST_FILE", "PhotoDigests"]

DIGEST_FILE = "digests.sqlite"


class PhotoDigests:
    """A crash-safe SQLite file of digests in a folder.

    :raises DataError: it cannot be opened or written.
    """

    def __init__(self, folder: Path):
        self._file = folder / DIGEST_FILE
        self._store = SqliteStore(self._file, _prepare)

    def get(self, paths: Iterable[str]) -> list[str]:
        """Return the digest of each photo.

        :raises DataError: a photo has none.
        """
        found = []
        for path in paths:
            row = self._store.row("SELECT digest FROM photo WHERE path = ?", (os.fsencode(path),))
            if row is None:
                raise DataError(f"{self._file}: expected a digest of {path}, found none; train anew with overwrite")
            found.append(row[0])
        return found

    def put(self, digests: Mapping[str, str]) -> None:
        """Store digests by path."""
        rows = ((os.fsencode(path), digest) for path, digest in digests.items())  # a file name may not be valid text
        self._store.store("INSERT OR REPLACE INTO photo VALUES (?, ?)", rows)

    def close(self) -> None:
        self._store.close()


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS photo (path BLOB PRIMARY KEY, digest TEXT)")
