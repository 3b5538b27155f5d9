"""Detect missing parts of a picture that decoders accept: what broken downloads, disks and cables leave."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from hierpets.errors import ImageError

__all__ = [
    "Warn",
    "check_png",
    "check_zero_tail",
    "ignore_warning",
    "inflate",
    "is_blur",
    "missing_share",
    "pixel_chunks",
]

Warn = Callable[[str], None]
"""Receives one line on what is wrong with a photo that is decoded nonetheless."""

JPEG_END = b"\xff\xd9"
SCAN = re.compile(rb"\xff\xda..([\x01-\x04])", re.DOTALL)  # its header begins with the number of components
HIGHEST_FREQUENCY = 63
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL", b"fdAT")
PALETTE, CHANNELS = 3, {2: 3, 4: 2, 6: 4}  # by color type of a PNG; others have one
LAST_FILTER = 4
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
MIN_ZEROS = 64  # bytes; a shorter run is not unusual
WARNED = 1 / 64  # share of a file that is zeros at its end
REFUSED = {"BMP": 1 / 2, "TIFF": 1 / 2}  # where zeros may be black pixels
REFUSED_COMPRESSED = 1 / 4
PIECE = 1 << 16  # bytes inflated at a time


def ignore_warning(_: str) -> None:
    """Ignore the warning for a photo that is read again; it was given the first time."""


def check_zero_tail(data: bytes, kind: str, warn: Warn) -> None:
    """Warn if a file ends in zeros because its last blocks were never written. Decoders take them for pixels.

    :raises ImageError: they are more than a quarter of the file, or half of a BMP or TIFF.
    """
    whole = data[: _stated_length(data, kind)]
    if kind == "JPEG":
        whole = whole.rstrip(b"\0").removesuffix(JPEG_END)
    zeros = len(whole) - len(whole.rstrip(b"\0"))
    if zeros < max(MIN_ZEROS, WARNED * len(whole)):
        return
    message = f"the last {zeros:,} of {len(whole):,} bytes are zeros"
    if zeros > REFUSED.get(kind, REFUSED_COMPRESSED) * len(whole):
        raise ImageError(f"truncated {kind}: {message}")
    warn(f"{message}: part of the picture may be missing")


def missing_share(photo: np.ndarray) -> float:
    """Return the share of rows, from the bottom, of one flat color, which libjpeg fills in where the data ran out."""
    found = np.flatnonzero((photo != photo[-1, -1]).any(axis=(1, 2)))
    return 1 - (found[-1] + 1) / len(photo) if len(found) else 1.0


def is_blur(jpeg: bytes, *, cut: bool) -> bool:
    """Whether the scans of a progressive JPEG hold only low frequencies of its luminance.

    With ``cut``, the file ends within its last scan, which then does not count.
    """
    scans = list(SCAN.finditer(jpeg))
    return not any(_is_fine(jpeg, scan.start(), count=scan[1][0]) for scan in scans[: len(scans) - cut])


def check_png(data: bytes) -> None:
    """Check every chunk by its checksum, and the pixels by inflating them, a piece at a time. libpng would only print
    what is wrong.

    :raises ImageError: a chunk or pixels are cut off, changed or missing.
    """
    rows = _PngRows(data)
    stream, seen = zlib.decompressobj(), set[bytes]()
    try:
        for name, content in _png_chunks(data):
            seen.add(name)
            if name == b"IDAT":
                inflate(stream, content, rows.take)
    except zlib.error as error:
        raise ImageError(f"damaged PNG: its pixels cannot be inflated: {error}") from None
    if rows.palette and b"PLTE" not in seen:
        raise ImageError("damaged PNG: its palette is missing")
    if not stream.eof or rows.missing:
        raise ImageError("damaged PNG: its pixels are not as many as its header says")


def pixel_chunks(png: bytes) -> bytes:
    """Return a PNG with only the chunks that affect pixels: libpng complains about others on standard error."""
    parts, at = [png[:8]], 8
    for name, content in _png_chunks(png):
        end = at + 12 + len(content)
        if name in PIXEL_CHUNKS:
            parts.append(png[at:end])
        at = end
    return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the name and content of each chunk up to ``IEND``. :raises ImageError: one is cut off or changed."""
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        name = data[at + 4 : at + 8]
        if zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ImageError(f"damaged PNG: the checksum of its chunk {name!r} is wrong")
        yield name, view[at + 8 : end]
        if name == b"IEND":
            return
        at = end + 4
    raise ImageError("truncated PNG: its chunks are incomplete")


def inflate(stream: zlib._Decompress, content: memoryview, take: Callable[[bytes], None]) -> None:
    """Inflate ``content``, the next part of a stream, and pass it to ``take`` a piece at a time.

    :raises zlib.error: it is damaged.
    """
    piece: bytes | memoryview = content
    while piece and not stream.eof:
        take(stream.decompress(piece, PIECE))
        piece = stream.unconsumed_tail


class _PngRows:
    """Counts the rows of a PNG while they are inflated, against those that its header announces."""

    def __init__(self, png: bytes):
        width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", png, 16)
        self.palette = color == PALETTE
        self._interlaced = bool(interlaced)
        bits = depth * CHANNELS.get(color, 1)
        sizes = [_adam7(width, height, *step) for step in ADAM7] if interlaced else [(width, height)]
        self._stride = 1 + (width * bits + 7) // 8
        self.missing = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns)
        self._at = 0

    def take(self, piece: bytes) -> None:
        """Count inflated bytes. :raises ImageError: more than announced, or a row that begins with no filter."""
        filters = b"" if self._interlaced else piece[-self._at % self._stride :: self._stride]
        self._at += len(piece)
        self.missing -= len(piece)
        if self.missing < 0 or max(filters, default=0) > LAST_FILTER:
            raise ImageError("damaged PNG: its pixels are not those that its header says")


def _adam7(width: int, height: int, left: int, top: int, right: int, down: int) -> tuple[int, int]:
    """Return the columns and rows of one pass of an interlaced picture."""
    return -(-(width - left) // right), -(-(height - top) // down)


def _stated_length(data: bytes, kind: str) -> int:
    """Return the length that a header states; what follows is not part of the picture."""
    if kind == "BMP":
        return int.from_bytes(data[2:6], "little") or len(data)
    if kind == "WebP":
        return 8 + int.from_bytes(data[4:8], "little")
    return len(data)


def _is_fine(jpeg: bytes, at: int, *, count: int) -> bool:
    """Whether a scan of ``count`` components holds the highest frequency, to the last bit but one at least."""
    header = jpeg[at + 5 + 2 * count : at + 8 + 2 * count]
    return len(header) == 3 and header[1] == HIGHEST_FREQUENCY and header[2] & 0x0F <= 1
