"""Digests of photos by their addresses, kept as the workers of a cluster take them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from hierpets.cache import SqliteStore

__all__ = ["DIGEST_FILE", "PhotoDigests"]

DIGEST_FILE = "digests.sqlite"


class PhotoDigests:
    """A SQLite file in a folder, safe against crashes.

    :raises DataError: it cannot be opened or written.
    """

    def __init__(self, folder: Path):
        self._store = SqliteStore(folder / DIGEST_FILE, _prepare)

    def get(self, paths: Iterable[str]) -> list[str]:
        """The digests of photos, all of which have been put there."""
        query = "SELECT digest FROM photo WHERE path = ?"
        found = (self._store.row(query, (path,)) for path in paths)
        return [row[0] for row in found if row is not None]

    def put(self, digests: Mapping[str, str]) -> None:
        """Store digests by path."""
        self._store.store("INSERT OR REPLACE INTO photo VALUES (?, ?)", digests.items())

    def close(self) -> None:
        self._store.close()


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS photo (path TEXT PRIMARY KEY, digest TEXT)")
