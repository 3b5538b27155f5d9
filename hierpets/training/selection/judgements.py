"""Out-of-fold judgements of candidates, stored in a file of the run, so that an interrupted comparison is not lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hierpets.cache import SqliteCache
from hierpets.training.score import Judged, Score

__all__ = ["Judgement", "Judgements"]


class Judgement(NamedTuple):
    """The out-of-fold ``score``, and which photos are right: as they are, ``plain``, and ``corrupted``, if any were."""

    score: Score
    plain: Judged
    corrupted: Judged | None


class Judgements:
    """Judgements in a SQLite file, by a digest of all that they depend on. If the file fails, each is made again."""

    def __init__(self, file: Path):
        self._cache = SqliteCache(file, _prepare)

    def get(self, digest: str) -> Judgement | None:
        """Return the stored judgement, if there is one."""
        row = self._cache.row(
            "SELECT breed, species, nll, plain, corrupted FROM judgements WHERE digest = ?", (digest,)
        )
        if row is None:
            return None
        breed, species, nll, plain, corrupted = row
        return Judgement(
            Score(breed, species, nll), _unpacked(plain), None if corrupted is None else _unpacked(corrupted)
        )

    def put(self, digest: str, judgement: Judgement) -> None:
        """Store a judgement."""
        score, corrupted = judgement.score, judgement.corrupted
        packed = _packed(judgement.plain), None if corrupted is None else _packed(corrupted)
        row = (digest, score.breed, score.species, score.nll, *packed)
        self._cache.store("INSERT OR REPLACE INTO judgements VALUES (?, ?, ?, ?, ?, ?)", [row])

    def close(self) -> None:
        self._cache.close()


def _prepare(database: sqlite3.Connection) -> None:
    database.execute(
        "CREATE TABLE IF NOT EXISTS judgements"
        " (digest TEXT PRIMARY KEY, breed REAL, species REAL, nll REAL, plain BLOB, corrupted BLOB)"
    )


_ROW = np.dtype([("right", "?"), ("weight", "<f8")])


def _packed(judged: Judged) -> bytes:
    rows = np.empty(len(judged.right), _ROW)
    rows["right"], rows["weight"] = judged
    return rows.tobytes()


def _unpacked(content: bytes) -> Judged:
    rows = np.frombuffer(content, _ROW)
    return Judged(rows["right"].copy(), rows["weight"].copy())
