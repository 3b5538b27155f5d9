"""Write records to a text file, JSONL or CSV, and read complete ones back."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hierpets.errors import DataError
from hierpets.inference.prediction import Prediction
from hierpets.inference.record import CSV_COLUMNS, csv_line, csv_row, csv_text

__all__ = ["CsvWriter", "JsonlWriter", "WrittenRecord"]


class WrittenRecord(NamedTuple):
    """The part of a record that is read back: its path, and whether the photo or a shampoo rule failed."""

    path: str
    failed: bool
    failed_recommendation: bool


class LinesWriter:
    """Appends records to a file. An incomplete one at its end, left by a killed process, is cut off by
    :meth:`recorded`.
    """

    def __init__(self, path: Path):
        self.path = path
        path.touch()
        self._file = path.open("r+b")

    def fileno(self) -> int:
        """The descriptor to lock while the file is open."""
        return self._file.fileno()

    def recorded(self) -> Iterator[WrittenRecord]:
        """The records in the file, in order; read them to the end before writing.

        :raises DataError: the existing file was not written by hierpets.
        """
        end = self._file.seek(0)
        for lines in self._whole(self._file):
            end += len(lines)
            record = self._parse(lines, self.path)
            if record is not None:
                yield record
        self._file.seek(end)
        self._file.truncate()
        if end == 0:
            self._append(self._head())

    @classmethod
    def read(cls, target: Path) -> Iterator[WrittenRecord]:
        """The records of a complete file, in order.

        :raises DataError: it was not written by hierpets.
        """
        with target.open("rb") as file:
            for lines in cls._whole(file):
                record = cls._parse(lines, target)
                if record is not None:
                    yield record

    def reopen(self, target: Path) -> None:
        """Append to a complete file, which becomes the partial one; the caller must lock it again."""
        self.close()  # Windows cannot replace an open file
        target.replace(self.path)
        self._file = self.path.open("r+b")
        self._file.seek(0, os.SEEK_END)

    def write(self, prediction: Prediction) -> None:
        """Add a record; it is kept even if this process is killed."""
        self._append(self._line(prediction))

    def finish(self, target: Path) -> None:
        """Move the partial file into its place."""
        os.fsync(self._file.fileno())
        if os.name != "posix":
            self.close()  # Windows cannot move an open file; elsewhere it stays locked until it is in its place
        self.path.replace(target)
        self.close()

    def close(self) -> None:
        self._file.close()

    def _append(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "surrogateescape"))
        self._file.flush()

    @staticmethod
    def _whole(file: BinaryIO) -> Iterator[bytes]:
        yield from (line for line in file if line.endswith(b"\n"))

    def _head(self) -> str:
        return ""

    def _line(self, prediction: Prediction) -> str:
        raise NotImplementedError

    @staticmethod
    def _parse(lines: bytes, path: Path) -> WrittenRecord | None:
        raise NotImplementedError


class JsonlWriter(LinesWriter):
    """One record per line."""

    def _line(self, prediction: Prediction) -> str:
        return prediction.json_text() + "\n"

    @staticmethod
    def _parse(lines: bytes, path: Path) -> WrittenRecord:
        try:
            record = json.loads(lines)
            advice = record["recommendation"]
            return WrittenRecord(record["path"], record["error"] is not None, bool(advice and advice["error"]))
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path}: expected hierpets records, found another line; delete the file to start over"
            raise DataError(message) from error


class CsvWriter(LinesWriter):
    """A header, then one row per record. A row takes several lines if a path holds a line break."""

    def _head(self) -> str:
        return csv_line(CSV_COLUMNS)

    def _line(self, prediction: Prediction) -> str:
        return csv_line(csv_row(prediction.to_json()))

    @staticmethod
    def _whole(file: BinaryIO) -> Iterator[bytes]:
        row = b""
        for line in file:
            row += line
            if row.endswith(b"\n") and row.count(b'"') % 2 == 0:
                yield row
                row = b""

    @staticmethod
    def _parse(lines: bytes, path: Path) -> WrittenRecord | None:
        cells = next(csv.reader(io.StringIO(lines.decode("utf-8", "surrogateescape"), newline="")))
        if len(cells) != len(CSV_COLUMNS):
            raise DataError(f"{path}: expected hierpets records, found another row; delete the file to start over")
        if tuple(cells) == CSV_COLUMNS:
            return None
        record = dict(zip(CSV_COLUMNS, cells, strict=True))
        return WrittenRecord(csv_text(record["path"]), bool(record["error"]), bool(record["product_error"]))
