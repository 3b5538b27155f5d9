"""Damage of which a decoder says nothing: BMP, TIFF and WebP have no sums, and changed bytes still make a picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from hierpets.data.decoding.damage import Warn, inflate, missing_share
from hierpets.data.decoding.tiff import tiff_blocks, tiff_end, tiff_tags
from hierpets.errors import ImageError

__all__ = ["check_silent_damage"]

SPARE = 32  # bytes at the end of WebP's data that a decoder may leave unread; a whole file leaves less than eight
PADDING = 16  # bytes that some programs add behind a file
PIXELS, FIRST_PIXELS = (b"VP8 ", b"VP8L"), 20  # where they start in a file of one chunk
COMPRESSION, DEFLATE, NONE = 259, (8, 32946), 1
MOST_PIXEL_BYTES = 16  # eight samples of two bytes
MOST_PADDING = 1 << 24  # bytes by which tiles may reach beyond the picture
MOST_BLACK = 1 / 16  # of a TIFF's rows


def check_silent_damage(
    data: bytes, kind: str, photo: np.ndarray, warn: Warn, decode: Callable[[bytes, str], object]
) -> None:
    """Warn where a BMP, TIFF or WebP that ``decode`` made a photo RGB uint8 [H, W, 3] of seems to be damaged.

    Bytes that were put in move the rest: the file is longer than it says. Bytes that were changed make WebP's entropy
    coder read on wrongly: it runs out of data, which is an error, or has some left.
    """
    if kind not in STATED:
        return
    length = STATED[kind](data)
    surplus = len(data.rstrip(b"\0")) - length  # a file may be filled up with zeros
    if length and surplus > PADDING:
        warn(f"damaged {kind}: {len(data):,} bytes, of which {surplus:,} belong to nothing")
    elif kind == "WebP" and _ends_early(data, decode):
        warn("damaged WebP: its picture does not end where its data do")
    elif kind == "TIFF" and length:
        _check_tiff(data, photo, warn)


def _check_tiff(tiff: bytes, photo: np.ndarray, warn: Warn) -> None:
    """What cannot be decompressed is black; Deflate has sums that libtiff does not look at."""
    compression = tiff_tags(tiff).get(COMPRESSION, NONE)
    black = 0.0 if photo[-1, -1].any() or compression == NONE else missing_share(photo)
    if black > MOST_BLACK:
        warn(f"the lower {black:.0%} are black: part of the picture may be missing")
    elif compression in DEFLATE and not _all_inflate(tiff, MOST_PIXEL_BYTES * photo.size // 3 + MOST_PADDING):
        warn("damaged TIFF: the sum of its pixels is wrong")


def _all_inflate(tiff: bytes, most: int) -> bool:
    """Whether all strips or tiles have right sums, and together no more than so many bytes: libtiff stops where a strip
    is full, whatever follows, and any number of strips may share a place.
    """
    blocks, left = list(tiff_blocks(tiff)), most
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
    """Zero where it cannot be told: the decoder has taken the file."""
    try:
        return tiff_end(tiff)
    except (struct.error, ValueError, OverflowError):
        return 0


def _ends_early(webp: bytes, decode: Callable[[bytes, str], object]) -> bool:
    """Whether the pixels are decoded without their last bytes, or, in a file of several chunks, not even with them."""
    for name, start, end in _chunks(webp):
        if name in PIXELS and end - start > 2 * SPARE:
            # Of pixels that break off within a file of several chunks, OpenCV gives what there is.
            lacking = start > FIRST_PIXELS and not _succeeds(decode, _alone(name, webp[start:end]))
            return lacking or _succeeds(decode, _alone(name, webp[start : end - SPARE]))
    return False  # too few bytes, or an animation


def _alone(name: bytes, pixels: bytes) -> bytes:
    """A WebP of one chunk."""
    body = b"WEBP" + name + struct.pack("<I", len(pixels)) + pixels + bytes(len(pixels) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunks(webp: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, and where the content starts and ends, of every chunk."""
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
"""How long a file says that it is; zero: it does not say."""
