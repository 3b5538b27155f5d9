"""Open tables in Arrow's stream and file formats, with a limit against decompression bombs; recognize predictions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hierpets.plugin.reading import open_file, require_pyarrow, suffix_of

__all__ = ["MAX_UNPACKED", "is_predictions", "open_arrow"]

MAX_UNPACKED = 2**30
"""Bytes that the compressed columns of a table may take when unpacked."""
ARROW_FILE = b"ARROW1\0\0"  # the file format begins with it; a stream of messages follows
DICTIONARY, BATCH = 2, 3  # kinds of messages that hold columns
PREDICTED = {"path", "model", "level", "thresholds"}  # no table of photos has all of these columns


def open_arrow(source: Any) -> Any:
    """Return a ``pyarrow`` reader of an open file in Arrow's stream or file format; nothing is unpacked yet.

    :raises OSError: its compressed columns would take more than :data:`MAX_UNPACKED` bytes.
    :raises ValueError: it is not such a table.
    """
    pa = require_pyarrow()
    begins = source.read(len(ARROW_FILE))
    source.seek(len(ARROW_FILE) if begins == ARROW_FILE else 0)
    if (unpacked := _unpacked_bytes(pa, source)) > MAX_UNPACKED:
        raise OSError(f"unpacked, it takes {unpacked / 2**30:.1f} GB, above the limit of {MAX_UNPACKED / 2**30:.0f} GB")
    source.seek(0)
    return pa.ipc.open_file(source) if begins == ARROW_FILE else pa.ipc.open_stream(source)


def is_predictions(file: str) -> bool:
    """Whether a file is a table that ``hierpets predict`` wrote: it may lie beside photos, but holds none."""
    if suffix_of(file) != ".parquet":
        return False
    try:
        import pyarrow.parquet as pq

        with open_file(file) as opened:
            return set(pq.read_schema(opened).names) >= PREDICTED
    except (ImportError, OSError, ValueError):
        return False


def _unpacked_bytes(pa: Any, source: Any) -> int:
    """Sum of the unpacked sizes that the compressed buffers of all messages declare: each begins with its size as a
    little-endian int64, or with -1 if it is not compressed after all (Apache Arrow, "Columnar format", "Compression").
    """
    messages, total = pa.ipc.MessageReader.open_stream(source), 0
    try:
        with suppress(StopIteration):
            while True:
                message = messages.read_next_message()
                buffers = _compressed_buffers(message.metadata.to_pybytes())
                total += sum(max(0, *struct.unpack_from("<q", message.body, start)) for start in buffers)
    except struct.error as error:
        raise ValueError(f"damaged: {error}") from error
    return total


def _compressed_buffers(metadata: bytes) -> Iterator[int]:
    """Offsets of the compressed buffers in a message's body, read from its flatbuffer (Apache Arrow, Message.fbs)."""

    def number(code: str, place: int) -> int:
        return int(struct.unpack_from(f"<{code}", metadata, place)[0])

    def field(table: int, index: int) -> int:
        """The offset of a field; 0 if the table lacks it."""
        fields = table - number("i", table)
        entry = 4 + 2 * index
        offset = number("H", fields + entry) if entry < number("H", fields) else 0
        return table + offset if offset else 0

    def follow(place: int) -> int:
        return place + number("I", place)

    message = follow(0)
    kind = number("B", place) if (place := field(message, 1)) else 0
    if kind not in (DICTIONARY, BATCH):
        return
    batch = follow(field(message, 2))
    if kind == DICTIONARY:
        batch = follow(field(batch, 1))
    if field(batch, 3):  # its compression
        buffers = follow(field(batch, 2))
        for index in range(number("I", buffers)):
            start, length = struct.unpack_from("<qq", metadata, buffers + 4 + 16 * index)
            if length >= 8:
                yield start
