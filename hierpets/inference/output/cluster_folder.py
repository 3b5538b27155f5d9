"""The folder of records that a cluster writes, in any file system: its request, its records, whether it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hierpets.errors import ConfigError, DataError, reason_of
from hierpets.inference.output.request import RunRequest, RunTotals
from hierpets.inference.record import parquet_schema, printable
from hierpets.plugin.reading import locate

__all__ = ["ClusterFolder", "Recorded"]

# Readers of Parquet skip names that begin with an underscore.
STARTED_FILE, RUN_FILE = "_started.json", "_run.json"
FAILED_RULE = '"error": "'  # in a recommendation as JSON; without an error it is null


class Recorded:
    """The set of photos that have a record. It stores an eight-byte hash of each, as there may be many."""

    def __init__(self) -> None:
        self._keys: set[bytes] = set()

    def add(self, path: str) -> None:
        self._keys.add(_key(path))

    def holds(self, path: str) -> bool:
        return _key(path) in self._keys


@dataclass(frozen=True)
class ClusterFolder:
    """The folder ``given`` by the user, at the path ``inside`` a pyarrow ``filesystem``."""

    given: str
    filesystem: Any
    inside: str

    @classmethod
    def of(cls, given: str) -> ClusterFolder:
        return cls(given, *locate(given))

    def begin(self, request: RunRequest, *, resume: bool) -> RunTotals | None:
        """Store the request, or check that the folder was begun with the same one; totals if it is complete already.

        :raises ConfigError: it is not empty and ``resume`` is not given; or it was begun with other options.
        :raises DataError: it cannot be written.
        """
        names = {info.base_name for info in self._list()}
        if names and not (resume and STARTED_FILE in names):
            advice = "" if STARTED_FILE not in names else "; --resume continues what was begun there"
            raise ConfigError(f"{self.given}: is not empty; choose another folder with --out, or empty it{advice}")
        if not names:
            self._write(STARTED_FILE, request.text())
            return None
        request.check_same(self._read(STARTED_FILE), Path(self.given))
        return self._read(RUN_FILE).result if RUN_FILE in names else None

    def reopen(self) -> None:
        """Mark the folder as incomplete, if it is complete, because more records are to come."""
        if RUN_FILE in {info.base_name for info in self._list()}:
            with self._access("written"):
                self.filesystem.delete_file(f"{self.inside}/{RUN_FILE}")

    def recorded(self) -> Recorded:
        """The photos that have a record. A damaged file, left by a killed writer, is deleted.

        :raises ConfigError: a file holds something other than records.
        :raises DataError: a file cannot be read, or a damaged one cannot be deleted.
        """
        found = Recorded()
        for info in self._list():
            if info.extension != "parquet":
                continue
            try:
                paths = self._paths(info.path)
            except KeyError as error:
                raise self._not_ours(info.base_name) from error
            if paths is None:
                with self._access("written"):
                    self.filesystem.delete_file(info.path)
            for path in paths or ():
                found.add(path)
        return found

    def _paths(self, file: str) -> list[str] | None:
        """The photos of a file of records; None if it is damaged.

        :raises DataError: it cannot be read.
        """
        import pyarrow as pa

        try:
            return _path_column(file, self.filesystem)
        except (OSError, ValueError):  # also raised for damaged files: read it again to find out
            with self._access("read"), self.filesystem.open_input_stream(file) as opened:
                content = opened.read()
        try:
            return _path_column(pa.BufferReader(content), None)
        except (OSError, ValueError):
            return None

    def finish(self, request: RunRequest) -> RunTotals:
        """Mark the folder as complete."""
        totals = self._count()
        self._write(RUN_FILE, request.text(totals))
        return totals

    def _count(self) -> RunTotals:
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        failed = pc.match_substring(ds.field("recommendation"), FAILED_RULE)
        with self._access("read"):
            records = ds.dataset(self.inside, filesystem=self.filesystem, schema=parquet_schema(), format="parquet")
            return RunTotals(
                photos=records.count_rows(),
                unreadable=records.count_rows(filter=ds.field("error").is_valid()),
                failed_recommendations=records.count_rows(filter=failed),
            )

    def _list(self) -> list[Any]:
        import pyarrow.fs

        with self._access("read"):
            found: list[Any] = self.filesystem.get_file_info(pyarrow.fs.FileSelector(self.inside, allow_not_found=True))
        return found

    def _read(self, name: str) -> RunRequest:
        with self._access("read"), self.filesystem.open_input_stream(f"{self.inside}/{name}") as file:
            content = file.read()
        try:
            return RunRequest.model_validate(json.loads(content))
        except (ValidationError, ValueError) as error:
            raise self._not_ours(name) from error

    def _not_ours(self, name: str) -> ConfigError:
        message = f"{self.given}/{name}: not written by this version of hierpets; choose another folder with --out"
        return ConfigError(message)

    def _write(self, name: str, text: str) -> None:
        with self._access("written"):
            self.filesystem.create_dir(self.inside, recursive=True)
            with self.filesystem.open_output_stream(f"{self.inside}/{name}") as file:
                file.write(text.encode())

    @contextmanager
    def _access(self, what: str) -> Iterator[None]:
        """:raises DataError: it cannot be ``what``, read or written."""
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self.given}: cannot be {what}: {reason_of(error)}; mend this and rerun with --resume"
            ) from error


def _path_column(file: Any, filesystem: Any) -> list[str]:
    """The paths in a file of records. :raises KeyError: it holds something other than records."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, filesystem=filesystem) as opened:
        paths: list[str] = opened.read(columns=["path"])["path"].to_pylist()
    return paths


def _key(path: str) -> bytes:
    return hashlib.blake2b(printable(path).encode(), digest_size=8).digest()
