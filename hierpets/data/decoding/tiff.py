"""Parse the structure of a TIFF or BigTIFF file, or of an EXIF block, without decoding pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["tiff_blocks", "tiff_end", "tiff_tags", "tiff_values"]

# Bytes of one value, and the struct format of an integer, by the type of a tag.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
BLOCKS = ((273, 279), (324, 325), (513, 514))  # strips, tiles, an embedded JPEG: the tags of offsets and of lengths
DIRECTORIES = (330, 34665, 34853, 40965)  # tags of further pictures, EXIF, GPS, interoperability
MAX_ENTRIES, MAX_DIRECTORIES = 4096, 16
MAX_BYTES = 1 << 20  # of the offsets of strips: more would take longer to read than the picture


class _Entry(NamedTuple):
    """A tag of a directory. At ``position`` in the file are its values, if they fit there, or else their offset."""

    tag: int
    type: int
    length: int  # of the values, in bytes
    position: int


class _Tiff:
    """Reads a file at offsets. :raises ValueError: it has no TIFF structure. :raises struct.error: it is cut off."""

    def __init__(self, data: bytes):
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None:
            raise ValueError("no TIFF structure")
        self._data, self._order = data, order
        big = self.read("H", 2) == 43
        self._offset, self._count, self._inline = ("Q", "Q", 8) if big else ("I", "H", 4)
        self.first = self.read(self._offset, 8 if big else 4)

    def read(self, code: str, at: int) -> int:
        return int(struct.unpack_from(self._order + code, self._data, at)[0])

    def directory(self, at: int) -> tuple[list[_Entry], int]:
        """Return the entries of a directory, and the position of the offset of the next directory."""
        count = self.read(self._count, at)
        start, step = at + struct.calcsize(self._count), 4 + 2 * self._inline
        positions = [start + number * step for number in range(min(count, MAX_ENTRIES))]
        return [self._entry(position) for position in positions], start + count * step

    def _entry(self, at: int) -> _Entry:
        type_, count = self.read("H", at + 2), self.read(self._offset, at + 4)
        return _Entry(self.read("H", at), type_, count * SIZES.get(type_, 0), at + 4 + self._inline)

    def ends(self, at: int) -> tuple[list[int], list[int]]:
        """Return the end of everything that a directory refers to, and the offsets of further directories."""
        entries, position = self.directory(at)
        first = _by_tag(entries)
        ends = [position + self._inline, *(self._start(entry) + entry.length for entry in entries)]
        ends += [int(blocks.max()) for blocks in self.blocks(first) if blocks.size]
        inner = [n for tag in DIRECTORIES if tag in first for n in self.integers(first[tag])[:MAX_DIRECTORIES]]
        return ends, [self.read(self._offset, position), *map(int, inner)]

    def blocks(self, entries: dict[int, _Entry]) -> Iterator[np.ndarray]:
        """Yield the start and end of each strip, of each tile, and of an embedded JPEG, int64 [N, 2], where present."""
        for starts, lengths in BLOCKS:
            if starts in entries and lengths in entries:
                start, length = self.integers(entries[starts]), self.integers(entries[lengths])
                count = min(len(start), len(length))
                yield np.stack([start[:count], start[:count] + length[:count]], axis=1)

    def _start(self, entry: _Entry) -> int:
        """Return the position of the values of an entry."""
        return entry.position if entry.length <= self._inline else self.read(self._offset, entry.position)

    def integers(self, entry: _Entry) -> np.ndarray:
        """Return the values of an entry, int64 [N]. :raises ValueError: no integers, or more than a picture needs."""
        if entry.type not in INTEGERS or entry.length > MAX_BYTES:
            raise ValueError(f"tag {entry.tag}: expected integers")
        start = self._start(entry)
        return np.frombuffer(self._data[start : start + entry.length], self._order + INTEGERS[entry.type]).astype(int)


def _by_tag(entries: list[_Entry]) -> dict[int, _Entry]:
    """Index the entries by tag; as in libtiff, the first of equal tags counts."""
    return {entry.tag: entry for entry in reversed(entries)}


def tiff_tags(data: bytes) -> dict[int, int]:
    """Return the integer tags of the first directory.

    :raises ValueError: the file has no TIFF structure. :raises struct.error: it is cut off. :raises OverflowError: an
        offset is beyond all files.
    """
    file = _Tiff(data)
    # The first entry of a tag counts, whatever its type: libtiff accepts signed integers, too.
    entries = _by_tag(file.directory(file.first)[0])
    return {tag: file.read(INTEGERS[e.type], e.position) for tag, e in entries.items() if e.type in INTEGERS}


def tiff_values(data: bytes, tag: int) -> list[int]:
    """Return all integers of a tag of the first directory, or none without it. Raises as :func:`tiff_tags`."""
    file = _Tiff(data)
    entry = _by_tag(file.directory(file.first)[0]).get(tag)
    return [] if entry is None else file.integers(entry).tolist()


def tiff_blocks(data: bytes) -> Iterator[memoryview]:
    """Yield the strips or tiles of the first directory, as stored. Raises as :func:`tiff_tags`."""
    file = _Tiff(data)
    for blocks in file.blocks(_by_tag(file.directory(file.first)[0])):
        yield from (memoryview(data)[start:end] for start, end in blocks.clip(min=0).tolist())


def tiff_end(data: bytes) -> int:
    """Return the end of the last byte that a directory refers to; what follows is not part of the picture.

    Raises as :func:`tiff_tags`.
    """
    file = _Tiff(data)
    found, left, seen = [0], [file.first], set[int]()
    while left and len(seen) < MAX_DIRECTORIES:
        at = left.pop()
        if at and at not in seen:
            seen.add(at)
            ends, further = file.ends(at)
            found += ends
            left += further
    return max(found)
