"""Read the size of the pictures encoded in an AVIF file, which may differ from the size that its header states."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.data.decoding.boxes import MAX_FIELDS, Fields, find_box

__all__ = ["as_still_avif", "coded_sizes"]

SEQUENCE_HEADER = 1
SHORT_LEVELS = 7  # a level above has one more bit, its tier
HEADER_BYTES = 64  # longer than the fields of a sequence header before its size
# Some fields take no bytes, so that a small file could announce billions of parts. A picture of tiles has dozens.
MAX_ITEMS = 1000  # items and parts of items; units


def coded_sizes(data: bytes, meta: bytes) -> Iterator[tuple[int, int]]:
    """Yield (width, height) in pixels of every AV1 sequence in the items that the box ``meta`` of a file locates.

    :raises ValueError: the box is damaged, or a sequence header is that of a video.
    """
    units = (unit for item in _items(data, meta) for unit in _units(item))
    for number, (kind, content) in enumerate(units):
        if number == MAX_ITEMS:
            raise ValueError("too many units")
        if kind == SEQUENCE_HEADER:
            yield _sequence_size(content)


def as_still_avif(data: bytes) -> bytes:
    """Relabel an AVIF file as a still picture: its decoder then takes the picture among its items, never a track."""
    return data[:8] + b"avif" + data[12:]


def _items(data: bytes, meta: bytes) -> Iterator[bytes]:
    """Yield the content of every item (ISO 14496-12, 8.11.3).

    :raises ValueError: the items together are longer than the file.
    """
    places, inside = find_box(meta[4:], b"iloc"), find_box(meta[4:], b"idat") if b"idat" in meta else b""
    if len(places) > MAX_FIELDS:
        raise ValueError("too many items")
    fields, parts_left, bytes_left = Fields(places), MAX_ITEMS, len(data)
    version, _ = fields.take(8), fields.take(24)
    offset, length, base, index = (8 * fields.take(4) for _ in range(4))
    wide = 32 if version == 2 else 16
    for _ in range(fields.take(wide)):
        fields.take(wide)  # item ID
        source = inside if version > 0 and fields.take(16) & 15 == 1 else data
        fields.take(16)  # data reference: this file
        start, count, parts = fields.take(base), fields.take(16), []
        parts_left -= 1 + count
        if parts_left < 0:
            raise ValueError("too many parts of items")
        for _ in range(count):
            fields.take(index if version > 0 else 0)
            first, size = start + fields.take(offset), fields.take(length)
            parts.append(source[first : first + size])
            bytes_left -= len(parts[-1])
            if bytes_left < 0:
                raise ValueError("items that overlap")
        yield b"".join(parts)


def _units(item: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of every open bitstream unit (AV1, 5.3)."""
    at = 0
    while at < len(item):
        kind, extended, sized = item[at] >> 3 & 15, item[at] >> 2 & 1, item[at] >> 1 & 1
        at += 1 + extended
        size, more, shift = len(item) - at, sized, 0
        if sized:
            size = 0
        while more and at < len(item) and shift < 64:
            size |= (item[at] & 127) << shift
            more, shift, at = item[at] >> 7, shift + 7, at + 1
        yield kind, item[at : at + size]
        at += size


def _sequence_size(content: bytes) -> tuple[int, int]:
    """Return the maximum (width, height) of the frames of a sequence, from its header (AV1, 5.5.1)."""
    fields = Fields(content[:HEADER_BYTES])
    fields.take(4)  # profile, still picture
    if fields.take(1):  # reduced header of a still picture
        fields.take(5)
    else:
        _skip_operating_points(fields)
    bits = [1 + fields.take(4) for _ in range(2)]
    width, height = (1 + fields.take(n) for n in bits)
    return width, height


def _skip_operating_points(fields: Fields) -> None:
    if fields.take(1):
        raise ValueError("expected a picture, got the timing of a video")
    delayed = fields.take(1)
    for _ in range(1 + fields.take(5)):
        fields.take(12)
        if fields.take(5) > SHORT_LEVELS:
            fields.take(1)
        if delayed and fields.take(1):
            fields.take(4)
