"""Facts kept as they are found, so that an audit which is broken off goes on where it stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from hierpets.auditing.images.image_stats import Facts, look, stamp
from hierpets.progress import Progress, no_progress

__all__ = ["Ledger", "survey"]

VERSION = 2  # of what Facts holds
CHUNK = 64  # photos between two commits: what a kill may cost
LEDGER = "facts.sqlite"


class Ledger:
    """One SQLite file of facts, keyed by path and by the file's size and time of change."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / LEDGER, timeout=60)
        if self._database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            self._database.execute("DROP TABLE IF EXISTS facts")
            self._database.execute(f"PRAGMA user_version = {VERSION}")
        self._database.execute("CREATE TABLE IF NOT EXISTS facts (path TEXT PRIMARY KEY, stamp TEXT, facts TEXT)")

    def get(self, path: str) -> Facts | None:
        """What is known of a photo, unless its file has changed since."""
        row = self._database.execute("SELECT stamp, facts FROM facts WHERE path = ?", (path,)).fetchone()
        return Facts(**json.loads(row[1])) if row and row[0] == stamp(path) else None

    def put(self, found: Iterable[tuple[str, Facts]]) -> None:
        """Keep facts with the stamp that their file had before it was read."""
        rows = [(facts.path, before, json.dumps(asdict(facts))) for before, facts in found]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        self._database.close()


def survey(
    paths: Sequence[str],
    folder: Path,
    *,
    workers: int = 2,
    progress: Progress = no_progress,
) -> list[Facts]:
    """The facts of every photo, in order: from the ledger in ``folder`` where they are there, else looked at.

    Pixels are held for ``workers`` photos at a time, however many photos there are.
    """
    with closing(Ledger(folder)) as ledger, ThreadPoolExecutor(workers, thread_name_prefix="audit") as pool:
        missing = [path for path in dict.fromkeys(paths) if ledger.get(path) is None]
        done = len(paths) - len(missing)
        progress("photos", done, len(paths))
        for chunk in _chunks(missing):
            ledger.put(pool.map(_stamped_look, chunk))
            done += len(chunk)
            progress("photos", done, len(paths))
        return [ledger.get(path) or look(path) for path in paths]


def _stamped_look(path: str) -> tuple[str, Facts]:
    before = stamp(path)
    return before, look(path)


def _chunks(paths: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(paths)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk
