"""Parse the boxes of a HEIC or AVIF file (ISO 14496-12), and the numbers in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["MAX_FIELDS", "Fields", "boxes", "find_box"]

MAX_BOXES = 1000  # boxes side by side
MAX_FIELDS = 2**14  # bytes of a box that is read as numbers: reading one takes time in proportion to the bytes


def find_box(data: bytes, kind: bytes) -> bytes:
    """Return the content of the first top-level box of a type.

    :raises ValueError: there is none.
    """
    for found, content in boxes(data):
        if found == kind:
            return content
    raise ValueError(f"no box {kind!r}")


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each top-level box (ISO 14496-12, 4.2)."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = at + size if size else len(data)  # 0: to the end of the file
        yield kind, data[start:end]
        if end < start:
            break
        at = end


class Fields:
    """Reads big-endian numbers of any number of bits, one after the other."""

    def __init__(self, data: bytes):
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, bits: int) -> int:
        """Return the next number. :raises ValueError: too few bits are left."""
        self._left -= bits
        if self._left < 0:
            raise ValueError("cut off")
        return self._value >> self._left & (1 << bits) - 1
