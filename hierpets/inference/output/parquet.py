"""Write records to a Parquet file: first to a folder of small files, which are merged at the end."""

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

SUFFIX = ".rows"  # not taken for a table of photos if the folder lies among the photos
ROWS = 500  # per small file: as many can be lost if the process is killed
BATCHES_PER_GROUP = 4  # batches of ROWS per row group: memory at the end grows with it


class ParquetWriter:
    """Writes each ``ROWS`` records to a file of their own: a Parquet file has its index at the end and cannot grow."""

    def __init__(self, path: Path):
        require_pyarrow()
        self.path = path
        self._rows: list[dict[str, Any]] = []
        self._schema = parquet_schema()
        self._files = 0
        path.mkdir(exist_ok=True)
        self._lock = os.open(path, os.O_RDONLY) if os.name == "posix" else None

    def fileno(self) -> int | None:
        """The descriptor to lock while the folder is open; None where folders cannot be locked."""
        return self._lock

    def recorded(self) -> Iterator[WrittenRecord]:
        """The records in the folder, in order; read them to the end before writing.

        :raises DataError: the existing file was not written by hierpets.
        """
        for number, file in enumerate(self._written()):
            if file.name != _name(number):
                raise DataError(f"{self.path}: expected {_name(number)}, found {file.name}; delete it to start over")
            yield from self.read(file)
            self._files = number + 1

    @staticmethod
    def read(target: Path) -> Iterator[WrittenRecord]:
        """The records of a complete file, in order.

        :raises DataError: it was not written by hierpets.
        """
        for batch in _batches(target, ["path", "error", "recommendation"]):
            for row in batch.to_pylist():
                advice = json.loads(row["recommendation"] or "{}")
                yield WrittenRecord(row["path"], row["error"] is not None, bool(advice.get("error")))

    def reopen(self, target: Path) -> None:
        """Append to a complete file, which becomes the first of the small ones."""
        for file in self._written():  # left by a run that was killed between its last two steps
            file.unlink()
        target.replace(self.path / _name(0))
        self._files = 1

    def write(self, prediction: Prediction) -> None:
        """Add a record; it is safe on disk when a file of ``ROWS`` is full, or the writer is closed."""
        self._rows.append(parquet_row(prediction.to_json()))
        if len(self._rows) == ROWS:
            self._flush()

    def finish(self, target: Path) -> None:
        """Merge the small files into ``target``."""
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
        while group := list(islice(batches, BATCHES_PER_GROUP)):
            yield pa.Table.from_batches(group)


def _batches(file: Path, columns: list[str] | None = None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:  # Windows cannot delete an open file
            yield from opened.iter_batches(ROWS, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not written by hierpets: {error}; use --overwrite to start over") from error


def _name(number: int) -> str:
    return f"{number:08}{SUFFIX}"


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
