"""The folder of records that a cluster writes, in any file system: what was asked, what is there, when it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hierpets.errors import ConfigError, DataError
from hierpets.inference.output.request import RunRequest, RunTotals
from hierpets.inference.record import parquet_schema, printable
from hierpets.plugin.reading import locate

__all__ = ["ClusterFolder", "Recorded"]

# Readers of Parquet skip names that begin with an underscore.
STARTED_FILE, RUN_FILE = "_started.json", "_run.json"
FAILED_RULE = '"error": "'  # in a recommendation as JSON; without an error it is null


class Recorded:
    """The photos that have a record: eight bytes of a hash for each, so that there may be many."""

    def __init__(self) -> None:
        self._keys: set[bytes] = set()

    def add(self, path: str) -> None:
        self._keys.add(_key(path))

    def holds(self, path: str) -> bool:
        return _key(path) in self._keys


@dataclass(frozen=True)
class ClusterFolder:
    """``given`` by the user, in a pyarrow ``filesystem`` at the path ``inside`` of it."""

    given: str
    filesystem: Any
    inside: str

    @classmethod
    def of(cls, given: str) -> ClusterFolder:
        return cls(given, *locate(given))

    def begin(self, request: RunRequest, *, resume: bool) -> RunTotals | None:
        """Write down what is asked, or check that the same was asked; the totals of a folder that is whole already.

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

    def recorded(self) -> Recorded:
        """The photos that have a record. A file that was cut off when its writer was killed is deleted."""
        import pyarrow.parquet as pq

        found = Recorded()
        for info in self._list():
            if info.extension != "parquet":
                continue
            try:
                paths = pq.read_table(info.path, columns=["path"], filesystem=self.filesystem)["path"]
            except (OSError, ValueError):
                self.filesystem.delete_file(info.path)
                continue
            for path in paths.to_pylist():
                found.add(path)
        return found

    def finish(self, request: RunRequest) -> RunTotals:
        """Mark the folder as whole."""
        totals = self._count()
        self._write(RUN_FILE, request.text(totals))
        return totals

    def _count(self) -> RunTotals:
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        records = ds.dataset(self.inside, filesystem=self.filesystem, schema=parquet_schema(), format="parquet")
        failed = pc.match_substring(ds.field("recommendation"), FAILED_RULE)
        return RunTotals(
            photos=records.count_rows(),
            unreadable=records.count_rows(filter=ds.field("error").is_valid()),
            failed_recommendations=records.count_rows(filter=failed),
        )

    def _list(self) -> list[Any]:
        import pyarrow.fs

        found: list[Any] = self.filesystem.get_file_info(pyarrow.fs.FileSelector(self.inside, allow_not_found=True))
        return found

    def _read(self, name: str) -> RunRequest:
        with self.filesystem.open_input_stream(f"{self.inside}/{name}") as file:
            content = file.read()
        try:
            return RunRequest.model_validate(json.loads(content))
        except (ValidationError, ValueError) as error:
            told = f"{self.given}/{name}: not written by this version of hierpets; choose another folder with --out"
            raise ConfigError(told) from error

    def _write(self, name: str, text: str) -> None:
        with self._writing():
            self.filesystem.create_dir(self.inside, recursive=True)
            with self.filesystem.open_output_stream(f"{self.inside}/{name}") as file:
                file.write(text.encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"{self.given}: cannot be written: {reason}; mend this and rerun with --resume") from error


def _key(path: str) -> bytes:
    return hashlib.blake2b(printable(path).encode(), digest_size=8).digest()
