"""Cache features by the content of photos: a renamed or copied photo is not computed again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hierpets.cache import SqliteCache, warn_uncached

__all__ = ["FEATURE_FILE", "FeatureCache", "FeatureKey"]

FEATURE_FILE = "features.sqlite"


class FeatureKey(NamedTuple):
    """What computed a vector, and from which photo."""

    fingerprint: str
    photo: str


class FeatureCache:
    """Vectors [D] in a crash-safe SQLite file, by photo and by what computed them (backbone and view)."""

    def __init__(self, folder: Path, feature_dim: int, kind: type[SqliteCache] = SqliteCache):
        self._file, self._feature_dim = folder / FEATURE_FILE, feature_dim
        self._cache = kind(self._file, _prepare)

    def get(self, keys: Iterable[FeatureKey]) -> dict[FeatureKey, np.ndarray]:
        """Return the vectors that are present and intact, float32 [D] each."""
        query = "SELECT vector FROM feature WHERE fingerprint = ? AND photo = ?"
        found = {}
        for key in keys:
            row = self._cache.row(query, key)
            if row is not None and self._is_whole(row[0]):
                found[key] = np.frombuffer(row[0], dtype=np.float32)
        return found

    def put(self, vectors: Mapping[FeatureKey, np.ndarray]) -> None:
        """Store vectors, float32 [D] each."""
        self._cache.store(
            "INSERT OR REPLACE INTO feature VALUES (?, ?, ?)",
            ((*key, vector.astype(np.float32).tobytes()) for key, vector in vectors.items()),
        )

    def close(self) -> None:
        self._cache.close()

    def _is_whole(self, content: object) -> bool:
        length = self._feature_dim * np.dtype(np.float32).itemsize
        if isinstance(content, bytes) and len(content) == length and np.isfinite(np.frombuffer(content, "f4")).all():
            return True
        warn_uncached(self._file, f"it holds features that are not {self._feature_dim} finite numbers")
        return False


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS feature"
        " (fingerprint TEXT, photo TEXT, vector BLOB, PRIMARY KEY (fingerprint, photo))"
    )
