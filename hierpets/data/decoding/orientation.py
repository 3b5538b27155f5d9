"""Apply the orientation that an AVIF file states, which its decoder ignores."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from hierpets.data.decoding.boxes import MAX_FIELDS, Fields, boxes, find_box
from hierpets.errors import ImageError

__all__ = ["apply_orientation"]

ROTATION, MIRRORING = b"irot", b"imir"


def apply_orientation(photo: np.ndarray, avif: bytes) -> np.ndarray:
    """Rotate and mirror a decoded photo [H, W, 3] as its file states. Its EXIF block does not count (ISO 23000-22).

    :raises ImageError: the file does not state the properties of its picture.
    """
    try:
        for kind, content in _properties(avif):
            if kind == ROTATION:  # quarter turns, anticlockwise
                photo = np.rot90(photo, content[0] & 3)
            elif kind == MIRRORING:  # 0: top to bottom; 1: left to right
                photo = np.flip(photo, content[0] & 1)
    except (struct.error, IndexError, ValueError):
        raise ImageError("damaged AVIF: its header does not state the orientation of the picture") from None
    return np.ascontiguousarray(photo)


def _properties(avif: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each property of the picture, in the order to apply them (ISO 23008-12, 9.3)."""
    meta = find_box(avif, b"meta")[4:]
    primary = int.from_bytes(find_box(meta, b"pitm")[4:], "big")
    properties = find_box(meta, b"iprp")
    listed = [(b"", b""), *boxes(find_box(properties, b"ipco"))]  # numbered from 1; 0 is none
    tables = [content for kind, content in boxes(properties) if kind == b"ipma"]
    if sum(map(len, tables)) > MAX_FIELDS:
        raise ValueError("too many associations")
    for table in tables:
        yield from (listed[number] for item, number in _associations(table) if item == primary)


def _associations(table: bytes) -> Iterator[tuple[int, int]]:
    """Yield each item with the number of each of its properties."""
    fields = Fields(table)
    version, flags = fields.take(8), fields.take(24)
    for _ in range(fields.take(32)):
        item = fields.take(32 if version else 16)
        for _ in range(fields.take(8)):
            fields.take(1)  # whether it is essential
            yield item, fields.take(15 if flags & 1 else 7)
