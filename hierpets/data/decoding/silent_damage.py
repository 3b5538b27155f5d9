"""Detect damage that decoders do not report: BMP, TIFF and WebP have no checksums, and changed bytes still decode."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from hierpets.data.decoding.damage import Warn, inflate, missing_share
from hierpets.data.decoding.tiff import tiff_blocks, tiff_end, tiff_tags
from hierpets.errors import ImageError

__all__ = ["check_silent_damage"]

SPARE = 32  # bytes at the end of WebP data that may stay unread; of an intact file less than eight do
PADDING = 16  # bytes that some programs append to a file
PIXELS, FIRST_PIXELS = (b"VP8 ", b"VP8L"), 20  # position in a file of one chunk
COMPRESSION, DEFLATE, NONE = 259, (8, 32946), 1
MAX_PIXEL_BYTES = 16  # eight samples of two bytes
MAX_PADDING = 1 << 24  # bytes of tiles beyond the edges of the picture
MAX_BLACK = 1 / 16  # share of a TIFF's rows


def check_silent_damage(
    data: bytes, kind: str, photo: np.ndarray, warn: Warn, decode: Callable[[bytes, str], object]
) -> None:
    """Warn if a BMP, TIFF or WebP seems damaged which ``decode`` decoded to ``photo``, RGB uint8 [H, W, 3].

    Inserted bytes make a file longer than it states. Changed bytes derail the entropy decoder of WebP: it runs out of
    data, which is an error, or has some left.
    """
    if kind not in STATED:
        return
    length = STATED[kind](data)
    surplus = len(data.rstrip(b"\0")) - length  # a file may be filled up with zeros
    if length and surplus > PADDING:
        warn(f"damaged {kind}: {len(data):,} bytes, of which {surplus:,} belong to no picture")
    elif kind == "WebP" and _ends_early(data, decode):
        warn("damaged WebP: its picture does not end where its data do")
    elif kind == "TIFF" and length:
        _check_tiff(data, photo, warn)


def _check_tiff(tiff: bytes, photo: np.ndarray, warn: Warn) -> None:
    """Check for black rows, as which libtiff shows what it cannot decompress, and the checksums of Deflate, which it
    ignores.
    """
    compression = tiff_tags(tiff).get(COMPRESSION, NONE)
    black = 0.0 if photo[-1, -1].any() or compression == NONE else missing_share(photo)
    if black > MAX_BLACK:
        warn(f"the lower {black:.0%} are black: part of the picture may be missing")
    elif compression in DEFLATE and not _all_inflate(tiff, MAX_PIXEL_BYTES * photo.size // 3 + MAX_PADDING):
        warn("damaged TIFF: the checksum of its pixels is wrong")


def _all_inflate(tiff: bytes, max_bytes: int) -> bool:
    """Whether all strips or tiles have correct checksums, and at most ``max_bytes`` together: libtiff stops where a
    strip is full, whatever follows, and any number of strips may share bytes of the file.
    """
    blocks, left = list(tiff_blocks(tiff)), max_bytes
    if sum(map(len, blocks)) > len(tiff):
        return False

    def take(piece: bytes) -> None:
        nonlocal left
        left -= len(piece)
        if left < 0:
            raise zlib.error("more than the picture has")

    return all(_inflates(block, take) for block in blocks)


def _inflates(block: memoryview, take: Callable[[bytes], None]) -> bool:
    stream = zlib.decompressobj()
    try:
        inflate(stream, block, take)
    except zlib.error:
        return False
    return stream.eof


def _stated(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _tiff_length(tiff: bytes) -> int:
    """Return the length that a TIFF states; zero if it cannot be read, as the decoder has accepted the file."""
    try:
        return tiff_end(tiff)
    except (struct.error, ValueError, OverflowError):
        return 0


def _ends_early(webp: bytes, decode: Callable[[bytes, str], object]) -> bool:
    """Whether the pixels decode without their last bytes or, in a file of several chunks, do not even with them."""
    for name, start, end in _chunks(webp):
        if name in PIXELS and end - start > 2 * SPARE:
            # In a file of several chunks, OpenCV accepts incomplete pixels.
            is_incomplete = start > FIRST_PIXELS and not _succeeds(decode, _of_one_chunk(name, webp[start:end]))
            return is_incomplete or _succeeds(decode, _of_one_chunk(name, webp[start : end - SPARE]))
    return False  # too few bytes, or an animation


def _of_one_chunk(name: bytes, pixels: bytes) -> bytes:
    """Return a WebP of one chunk."""
    body = b"WEBP" + name + struct.pack("<I", len(pixels)) + pixels + bytes(len(pixels) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunks(webp: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, and the start and end of the content, of every chunk."""
    at = 12
    while at + 8 <= len(webp):
        start = at + 8
        end = min(len(webp), start + _stated(webp, at + 4))
        yield webp[at : at + 4], start, end
        at = end + (end - start) % 2


def _succeeds(decode: Callable[[bytes, str], object], webp: bytes) -> bool:
    try:
        decode(webp, "WebP")
    except ImageError:
        return False
    return True


STATED: dict[str, Callable[[bytes], int]] = {
    "BMP": lambda data: _stated(data, 2),
    "TIFF": _tiff_length,
    "WebP": lambda data: _stated(data, 4) + 8,
}
"""The length that a file states, by its format; zero if it states none."""
