"""Addresses of photos that are no files of their own: inside an archive or a table, in an object store, or drawn.

``ARCHIVE.tar:MEMBER``, ``TABLE.parquet:COLUMN:ROW``, ``TABLE.arrow:COLUMN:ROW``, or a URI such as ``s3://BUCKET/a.jpg``;
an archive or table may have a URI too. Photos of one file are best read in its order: the directory of an archive and
groups of rows are kept from one photo to the next.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from hierpets.errors import ImageError, first_line
from hierpets.plugin.arrow import open_arrow
from hierpets.plugin.reading import (
    ARCHIVED,
    is_uri,
    join,
    open_file,
    require_pyarrow,
    suffix_of,
    without_options,
)
from hierpets.plugin.tar import by_name, follow
from hierpets.workers import ProcessLock

__all__ = [
    "DEMO_PREFIX",
    "Address",
    "file_of",
    "files_named",
    "is_demo",
    "is_on_disk",
    "parse_address",
    "photo_suffix",
    "read_address",
    "read_file",
    "stamp_of",
]

DEMO, DEMO_PREFIX = "demo", "demo:"
STORE = re.compile(r"[^/]+://[^/?]*/")  # what a URI begins with: the kind of store, and the host or the bucket

MAX_GROUP_BYTES = 2**30
"""Bytes of a group of rows that is read for one photo. Groups are as large as their writer made them."""
MAX_KEPT_BYTES = 2**28
"""Bytes of the groups that are kept for the next photo: those of a few thousand, which training asks for at random."""
_lock = ProcessLock()  # so that each is read once, not by every thread that needs it


_Key = tuple[str, str, str, int]  # file, stamp, column, group


class Address(NamedTuple):
    """The ``file`` that holds a photo, its ``kind`` (None: the photo itself) and the place ``inside``."""

    file: str
    kind: str | None = None
    inside: str = ""


def parse_address(path: str) -> Address | None:
    """Parse an address; None for the path of a file on this machine, whatever its name looks like."""
    match = ARCHIVED.fullmatch(path)
    if (match is None and not is_uri(path)) or os.path.lexists(path):
        return None
    return Address(path) if match is None else Address(match["file"], match["kind"].lower(), match["inside"])


def file_of(path: str) -> str:
    """Return the file that a photo is, or is contained in."""
    address = parse_address(path)
    return path if address is None else address.file


def is_demo(source: str) -> bool:
    """Whether this means the demo set, and not a file or folder of that name."""
    return source == DEMO and not os.path.lexists(source)


def is_on_disk(path: str) -> bool:
    """Whether a path is on this machine, and neither a URI nor the name of a synthetic photo."""
    return not (is_uri(path) or path.startswith(DEMO_PREFIX))


def photo_suffix(path: str) -> str | None:
    """Return the suffix of a photo's own name, in lower case; None for a row of a table, which has no name."""
    address = parse_address(path)
    if address is not None and address.kind in ("parquet", "arrow"):
        return None
    return suffix_of(path)


def read_address(address: Address, max_bytes: int) -> tuple[int, bytes]:
    """Return the size in bytes and, unless it is above ``max_bytes``, the content.

    :raises ImageError: the file, or the photo in it, cannot be read.
    """
    try:
        return _READERS[address.kind](address, max_bytes)
    except FileNotFoundError:
        raise ImageError(f"no such file: {address.file}") from None
    except (OSError, ValueError, KeyError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ImageError(f"cannot be read: {reason}") from error


def read_file(path: Path, max_bytes: int) -> tuple[int, bytes]:
    """Return the size in bytes of a file on this machine and, unless it is above ``max_bytes``, the content.

    :raises ImageError: it is no regular file, which may have no end. :raises OSError: it cannot be read.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        listable = os.access(path, os.R_OK | os.X_OK)
        raise ImageError("is a folder; expected a photo" if listable else "a folder that cannot be listed")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("is not a regular file")
    if status.st_size > max_bytes:
        return status.st_size, b""
    data = path.read_bytes()
    return len(data), data


def _read_object(address: Address, max_bytes: int) -> tuple[int, bytes]:
    if not is_uri(address.file):
        return read_file(Path(address.file), max_bytes)
    with open_file(address.file) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return size, file.read() if size <= max_bytes else b""


def _read_member(address: Address, max_bytes: int) -> tuple[int, bytes]:
    with _lock:
        members = _members(address.file, stamp_of(address.file))
    if address.inside not in members:
        raise ImageError(f"no file {address.inside!r} in this archive")
    offset, size = members[address.inside]
    if size > max_bytes:
        return size, b""
    with open_file(address.file) as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) < size:
        raise ImageError("the archive is truncated")
    return size, content


def _read_row(address: Address, max_bytes: int) -> tuple[int, bytes]:
    column, _, number = address.inside.rpartition(":")
    if not column or not number.isdecimal():
        raise ImageError("expected the address of a row, TABLE:COLUMN:ROW")
    with _lock:
        cell = _TABLES[str(address.kind)](address.file, stamp_of(address.file), column, int(number))
    if isinstance(cell, dict):  # Hugging Face's Image: the bytes, or the path of a file beside the table
        if cell.get("bytes") is None and cell.get("path"):
            beside = Address(_beside(address.file, cell["path"]))
            try:
                return _read_object(beside, max_bytes)
            except FileNotFoundError:
                raise ImageError(f"no such file: {beside.file}, which the table names") from None
        cell = cell.get("bytes")
    if not isinstance(cell, bytes):
        raise ImageError(f"expected the bytes of a photo in column {column!r}, got {type(cell).__name__}")
    return len(cell), cell if len(cell) <= max_bytes else b""


_READERS: dict[str | None, Callable[[Address, int], tuple[int, bytes]]] = {
    None: _read_object,
    "tar": _read_member,
    "parquet": _read_row,
    "arrow": _read_row,
}


@lru_cache(maxsize=8)
def _members(file: str, _stamp: str) -> dict[str, tuple[int, int]]:
    """Return offset and size of every file in an archive, also under names of links, up to the first damage."""
    members = []
    with open_file(file) as opened, tarfile.open(fileobj=opened, mode="r:") as archive, suppress(tarfile.TarError):
        for member in archive:
            members.append(member)  # one by one, to keep those before a damage
    named = by_name(members)
    files = ((member.name, follow(member, named)) for member in members)
    return {name: (file.offset_data, file.size) for name, file in files if file is not None}


def _parquet_cell(file: str, stamp: str, column: str, row: int) -> Any:
    ends = _group_ends(file, stamp)
    group = bisect_right(ends, row)
    if group == len(ends):
        raise ImageError(f"no row {row} in this table")
    return _ROW_GROUPS.get((file, stamp, column, group))[row - (ends[group - 1] if group else 0)].as_py()


@lru_cache(maxsize=64)
def _group_ends(file: str, _stamp: str) -> list[int]:
    """Return the number of rows up to the end of each row group."""
    require_pyarrow()
    import pyarrow.parquet as pq

    with open_file(file) as opened:
        metadata = pq.read_metadata(opened)
    return list(accumulate(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)))


class _RowGroups:
    """A cache of row groups: the last two, and others up to :data:`MAX_KEPT_BYTES` together."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Any] = OrderedDict()
        self._bytes = 0

    def get(self, key: _Key) -> Any:
        """Return the column of a group, from the cache or the file."""
        if key not in self._kept:
            self._kept[key] = _read_group(*key)
            self._bytes += self._kept[key].nbytes
            while len(self._kept) > 2 and self._bytes > MAX_KEPT_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        self._kept.move_to_end(key)
        return self._kept[key]


_ROW_GROUPS = _RowGroups()


def _read_group(file: str, _stamp: str, column: str, group: int) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_file(file) as opened, pq.ParquetFile(opened) as table:
        stored = table.metadata.row_group(group).total_byte_size
        _check_group(stored)
        # A value that many rows share is stored once: so few rows take no more than a whole group may.
        rows = max(1, MAX_GROUP_BYTES // max(1, stored))
        parts, size = [], 0
        for batch in table.iter_batches(rows, row_groups=[group], columns=[column]):
            parts.append(batch[column])
            size += parts[-1].nbytes
            _check_group(size)
        return pa.chunked_array(parts)


def _check_group(size: int) -> None:
    """:raises ImageError: a row group of so many bytes is too large."""
    if size > MAX_GROUP_BYTES:
        raise ImageError(
            f"a row group of {size / 2**30:.1f} GB, above the limit of {MAX_GROUP_BYTES / 2**30:.0f} GB; "
            "write the table with fewer rows a group"
        )


def _arrow_cell(file: str, stamp: str, column: str, row: int) -> Any:
    table = _arrow(file, stamp)
    if row >= len(table):
        raise ImageError(f"no row {row} in this table")
    return table[column][row].as_py()


@lru_cache(maxsize=4)
def _arrow(file: str, _stamp: str) -> Any:
    """Open a table in Arrow's stream or file format; a local one is memory-mapped."""
    pa = require_pyarrow()
    return open_arrow(open_file(file) if is_uri(file) else pa.memory_map(file)).read_all()


_TABLES: dict[str, Callable[[str, str, str, int], Any]] = {"parquet": _parquet_cell, "arrow": _arrow_cell}


def files_named(table: str) -> Iterator[str]:
    """Yield the files that rows of a Parquet table name: Hugging Face's Image may be a path beside the table."""
    import pyarrow.parquet as pq
    from pyarrow import types

    with open_file(table) as opened, pq.ParquetFile(opened) as whole:
        for field in whole.schema_arrow:
            if types.is_struct(field.type) and field.type.get_field_index("path") >= 0:
                cells = (cell for batch in whole.iter_batches(columns=[f"{field.name}.path"]) for cell in batch[0])
                paths = (cell.as_py()["path"] for cell in cells if cell.is_valid)
                for path in filter(None, paths):
                    with suppress(ImageError):
                        yield _beside(table, path)


def _beside(file: str, path: str) -> str:
    """Resolve a path that a table names: relative to the table, or a URI in the table's own store.

    :raises ImageError: it names another host, which the table of a stranger must not make this machine ask.
    """
    bare = without_options(file)
    options = file[len(bare) :]
    if not is_uri(path):
        return join(bare.rpartition("/")[0] + options, path) if is_uri(file) else str(Path(file).parent / path)
    store = STORE.match(bare)
    if not is_uri(file) or store is None or not path.startswith(store[0]) or "?" in path:
        raise ImageError(f"{path}: a photo is read beside its table, or in the table's own object store; copy it there")
    return path + options


def stamp_of(file: str) -> str:
    """Return a text that changes whenever a local file does, so that nothing cached of an older one is used."""
    if is_uri(file):
        return ""
    status = Path(file).stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
