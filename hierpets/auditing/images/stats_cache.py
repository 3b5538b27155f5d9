"""Image statistics, cached as they are measured, so that an interrupted audit continues where it stopped."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from hierpets.auditing.images.image_stats import ImageStats, file_stamp, measure_image
from hierpets.cache import SqliteCache, warn_uncached
from hierpets.progress import Progress, no_progress

__all__ = ["StatsCache", "collect_stats"]

VERSION = 5  # of the table and the fields of ImageStats
CHUNK = 64  # photos between two commits: the most that are lost if the process is killed
CACHE_FILE = "image_stats.sqlite"


class StatsCache:
    """One SQLite file of statistics, keyed by path and by the file's size and modification time."""

    def __init__(self, folder: Path):
        self._file = folder / CACHE_FILE
        self._cache = SqliteCache(self._file, _prepare)

    def get(self, path: str) -> ImageStats | None:
        """Return the cached statistics of a photo; None if there are none, or its file has changed since."""
        query = "SELECT stamp, stats FROM stats WHERE path = ?"
        row = self._cache.row(query, (_key(path),))
        if row is None or row[0] != file_stamp(path):
            return None
        try:
            found = ImageStats(**json.loads(row[1]))
            return replace(found, path=path, turned_phashes=tuple(found.turned_phashes))  # JSON has no tuples
        except (TypeError, ValueError):
            warn_uncached(self._file, "it holds statistics that hierpets did not write")
            return None

    def put(self, measured: Iterable[tuple[str | None, ImageStats]]) -> None:
        """Store statistics with the stamp that their file had before it was read. Those without a stamp are not stored,
        because it could not be detected when they are out of date.
        """
        rows = [(_key(stats.path), before, json.dumps(asdict(stats))) for before, stats in measured if before]
        self._cache.store("INSERT OR REPLACE INTO stats VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        self._cache.close()


def collect_stats(
    paths: Sequence[str], cache_folder: Path, *, workers: int = 2, progress: Progress = no_progress
) -> list[ImageStats]:
    """Return the statistics of every photo, in order; those that are not cached are measured.

    The pixels of only ``workers`` photos are in memory at a time.
    """
    with closing(StatsCache(cache_folder)) as cache, ThreadPoolExecutor(workers, thread_name_prefix="audit") as pool:
        found = {path: stats for path in dict.fromkeys(paths) if (stats := cache.get(path))}
        missing = [path for path in dict.fromkeys(paths) if path not in found]
        done = len(paths) - len(missing)
        progress("photos", done, len(paths))
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            measured = list(pool.map(_stamped, chunk))
            cache.put(measured)
            found |= {stats.path: stats for _, stats in measured}
            done += len(chunk)
            progress("photos", done, len(paths))
        return [found[path] for path in paths]


def _stamped(path: str) -> tuple[str | None, ImageStats]:
    before = file_stamp(path)
    return before, measure_image(path)


def _key(path: str) -> bytes:
    """A path as bytes for SQLite, since its name may not be valid text."""
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100  an address is not a path


def _prepare(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        database.execute("DROP TABLE IF EXISTS stats")
        database.execute(f"PRAGMA user_version = {VERSION}")
    database.execute("CREATE TABLE IF NOT EXISTS stats (path BLOB PRIMARY KEY, stamp TEXT, stats TEXT)")
