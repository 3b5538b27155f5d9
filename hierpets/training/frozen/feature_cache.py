"""Features cached by content: a photo renamed or copied is not computed again."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

__all__ = ["FeatureCache", "content_key", "open_cache"]

FILE, IN_MEMORY = "features.sqlite", ":memory:"


def content_key(path: str) -> str:
    """A hash of a photo's bytes; of its name where it has none, because it is synthetic or missing."""
    file = Path(path)
    content = file.read_bytes() if file.is_file() else path.encode()
    return hashlib.sha256(content).hexdigest()


class FeatureCache:
    """Vectors in one SQLite file, keyed by backbone fingerprint and photo content; safe against crashes."""

    def __init__(self, file: Path | str, fingerprint: str):
        self._fingerprint = fingerprint
        self._database = sqlite3.connect(file, timeout=60)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS feature"
            " (fingerprint TEXT, photo TEXT, vector BLOB, PRIMARY KEY (fingerprint, photo))"
        )

    def get(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """The vectors that are there, float32 [D] each."""
        query = "SELECT vector FROM feature WHERE fingerprint = ? AND photo = ?"
        found = {}
        for key in keys:
            row = self._database.execute(query, (self._fingerprint, key)).fetchone()
            if row is not None:
                found[key] = np.frombuffer(row[0], dtype=np.float32)
        return found

    def put(self, keys: Iterable[str], vectors: np.ndarray) -> None:
        """Store float32 vectors [N, D] under N keys."""
        rows = [
            (self._fingerprint, key, vector.astype(np.float32).tobytes())
            for key, vector in zip(keys, vectors, strict=True)
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO feature VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        self._database.close()


def open_cache(folder: Path, fingerprint: str) -> FeatureCache:
    """The cache in ``folder``; where it cannot be used, one in memory and a warning."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FeatureCache(folder / FILE, fingerprint)
    except (OSError, sqlite3.Error) as error:
        _warn_once(f"{folder / FILE}: features are not cached: {error}")
        return FeatureCache(IN_MEMORY, fingerprint)


@cache
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)
