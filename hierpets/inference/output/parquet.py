"""Records on their way into a Parquet file: a folder of small whole files, put together at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from hierpets.errors import DataError
from hierpets.inference.output.lines import WrittenRecord
from hierpets.inference.prediction import Prediction
from hierpets.inference.record import parquet_row, parquet_schema
from hierpets.plugin.reading import require_pyarrow

__all__ = ["ParquetWriter"]

SUFFIX = ".rows"  # no table of photos: the folder may lie among those that are predicted
ROWS = 500  # of a small file: what a kill can lose
BATCHES_A_GROUP = 4  # times ROWS become one row group; what more of them take, memory would grow by at the end


class ParquetWriter:
    """A Parquet file has its index at its end, so it cannot grow: each ``ROWS`` records become a file of their own."""

    def __init__(self, path: Path):
        require_pyarrow()
        self.path = path
        self._rows: list[dict[str, Any]] = []
        self._schema = parquet_schema()
        self._files = 0
        path.mkdir(exist_ok=True)
        self._lock = os.open(path, os.O_RDONLY) if os.name == "posix" else None

    def fileno(self) -> int | None:
        """What is locked while the folder is open; None where a folder cannot be."""
        return self._lock

    def recorded(self) -> Iterator[WrittenRecord]:
        """The records that are there, in order; read to the end before writing.

        :raises DataError: the existing file was not written by hierpets.
        """
        for number, file in enumerate(self._written()):
            if file.name != _name(number):
                raise DataError(f"{self.path}: expected {_name(number)}, found {file.name}; delete it to start over")
            yield from self.read(file)
            self._files = number + 1

    @staticmethod
    def read(target: Path) -> Iterator[WrittenRecord]:
        """The records of a whole file, in order.

        :raises DataError: it was not written by hierpets.
        """
        for batch in _batches(target, ["path", "error", "recommendation"]):
            for row in batch.to_pylist():
                advice = json.loads(row["recommendation"] or "{}")
                yield WrittenRecord(row["path"], row["error"] is not None, bool(advice.get("error")))

    def reopen(self, target: Path) -> None:
        """Go on after the records of a whole file, which becomes the first of the small ones."""
        for file in self._written():  # a run was killed between its last two steps
            file.unlink()
        target.replace(self.path / _name(0))
        self._files = 1

    def write(self, prediction: Prediction) -> None:
        """Add a record; it outlives this process when its ``ROWS`` are full, or the writer is closed."""
        self._rows.append(parquet_row(prediction.to_json()))
        if len(self._rows) == ROWS:
            self._flush()

    def finish(self, target: Path) -> None:
        """Put the small files together as the file."""
        import pyarrow.parquet as pq

        self._flush()
        scratch = self.path / "whole"
        with pq.ParquetWriter(scratch, self._schema) as writer:
            for group in self._groups():
                writer.write_table(group)
        _sync(scratch)
        scratch.replace(target)
        shutil.rmtree(self.path)
        self.close()

    def close(self) -> None:
        self._flush()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _flush(self) -> None:
        if not self._rows:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        scratch = self.path / "next"
        pq.write_table(pa.Table.from_pylist(self._rows, self._schema), scratch)
        scratch.replace(self.path / _name(self._files))
        self._files += 1
        self._rows = []

    def _written(self) -> Iterable[Path]:
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def _groups(self) -> Iterator[Any]:
        import pyarrow as pa

        batches = chain.from_iterable(map(_batches, self._written()))
        while group := list(islice(batches, BATCHES_A_GROUP)):
            yield pa.Table.from_batches(group)


def _batches(file: Path, columns: list[str] | None = None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:  # Windows deletes no open file
            yield from opened.iter_batches(ROWS, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not written by hierpets: {error}; use --overwrite to start over") from error


def _name(number: int) -> str:
    return f"{number:08}{SUFFIX}"


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
