"""Detect the format of a file and read the size of its picture, without decoding it."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator

from hierpets.data.decoding.av1 import coded_sizes
from hierpets.data.decoding.boxes import find_box
from hierpets.data.decoding.tiff import tiff_tags, tiff_values
from hierpets.errors import ImageError

__all__ = [
    "MAX_SCANS",
    "bytes_per_pixel",
    "exif_orientation",
    "has_many_scans",
    "is_progressive",
    "jpeg_without_extras",
    "picture_size",
    "sniff",
    "stored_orientation",
]

MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",  # BigTIFF
    b"MM\x00+": "TIFF",
}
# Other formats, which the error message names: (offset, magic, name)
NOT_PICTURES = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a WAV audio file"),
    (0, b"ID3", "an MP3 audio file"),
    (0, b"\xff\x0a", "a JPEG XL picture, which is not supported"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture, which is not supported"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture, which is not supported"),
    (0, b"8BPS", "a Photoshop document, which is not supported"),
    (0, b"version https://git-lfs", "a Git LFS pointer; run `git lfs pull`"),
    (0, b"\x7fELF", "a program"),
)
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
PROGRESSIVE_MARKERS = {0xC2, 0xC6, 0xCA, 0xCE}
FRAMELESS = {0xD8, 0xD9, 0xDA}  # a second image, the end or a scan: the frame comes before these
SOF_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, any coding; not DHT, JPG, DAC
START_OF_SCAN = 0xDA
END_OF_IMAGE = b"\xd9"
SEGMENT = re.compile(
    rb"\xff([\x02-\xcf\xd8-\xfe])"
)  # the next marker after the data of a scan, which holds none of these
MAX_SCANS = 100  # encoders write about ten
MAX_SEGMENTS = 4096  # before the picture; metadata and color profiles take a few hundred at most
MAX_SIZES = 4096  # sizes in a HEIC or AVIF
# DHT, DAC, DQT, DRI, and APP0 and APP14, which state the color space
PICTURE_SEGMENTS = SOF_MARKERS | {0xC4, 0xCC, 0xDB, 0xDD, 0xE0, 0xEE}
EXIF_SEGMENT, EXIF = 0xE1, b"Exif\x00\x00"
PROGRESSIVE_BYTES = 6  # per pixel: two for each coefficient of three components
RGB_BYTES = 3  # per pixel


def sniff(data: bytes) -> str:
    """Detect the format by content: JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC or AVIF.

    :raises ImageError: it is none of these; the message says what it is.
    """
    if data[:2] == b"BM" and len(data) >= 26:
        return "BMP"
    for magic, name in MAGIC.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return _sniff_iso_media(data)
    raise ImageError(f"not an image: {_describe(data)}")


def picture_size(data: bytes, kind: str) -> tuple[int, int]:
    """Read (width, height) in pixels from the header of a file of format ``kind``, as stored, before any rotation.

    :raises ImageError: the header does not state a size.
    """
    try:
        width, height = _SIZES[kind](data)
    except (struct.error, IndexError, ValueError, KeyError, OverflowError):  # an offset of 2**63 overflows
        raise ImageError(f"damaged {kind}: its header does not state the image size") from None
    if width <= 0 or height <= 0:
        raise ImageError(f"damaged {kind}: its header says {width} x {height} pixels")
    return width, height


def bytes_per_pixel(data: bytes, kind: str, reduction: int = 1) -> float:
    """Return the bytes of memory per pixel that decoding takes, for a file whose header :func:`picture_size` has read:
    those of the decoder and of the RGB photo.

    A JPEG is decoded straight to RGB, perhaps at a ``reduction``; all coefficients of a progressive one are kept until
    it is complete.
    """
    if kind == "JPEG":
        return RGB_BYTES / reduction**2 + (PROGRESSIVE_BYTES if is_progressive(data) else 0)
    return RGB_BYTES + _decoder_bytes(data, kind)


def _decoder_bytes(data: bytes, kind: str) -> int:
    if kind == "PNG":
        depth, color = data[24], data[25]
        # Gray and palettes with transparency are decoded as four channels.
        channels = {0: 1, 2: 3, 3: 4, 4: 4, 6: 4}.get(color, 4)
        return channels * (2 if depth == 16 else 1)
    if kind == "TIFF":
        tags = tiff_tags(data)
        samples = tags.get(277, 1)
        try:
            depth = max([1, *tiff_values(data, 258)])  # bits per sample: up to 64 for floats
        except (struct.error, ValueError, OverflowError):
            raise ImageError("damaged TIFF: its header does not state the bits of a sample") from None
        return max(1, min(samples, 8)) * (1 if samples == 1 and depth <= 8 else max(2, -(-depth // 8)))
    return 4


def exif_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, of an EXIF block (TIFF structure); 1 if it states no valid one."""
    try:
        value = tiff_tags(exif.removeprefix(EXIF)).get(0x0112, 1)
    except (struct.error, ValueError, OverflowError):
        return 1
    return value if 1 <= value <= 8 else 1


def stored_orientation(jpeg: bytes) -> int:
    """Return the orientation, 1 to 8, that the EXIF block of a JPEG states; 1 without one."""
    for marker, start, end in _jpeg_segments(jpeg):
        if marker == EXIF_SEGMENT and jpeg.startswith(EXIF, start + 4):
            return exif_orientation(jpeg[start + 4 : end])
    return 1


def jpeg_without_extras(jpeg: bytes) -> bytes:
    """Return a JPEG with only what its picture needs: without comments, EXIF, and bytes between segments."""
    parts, scan = [jpeg[:2]], len(jpeg)
    for marker, start, end in _jpeg_segments(jpeg):
        if marker == START_OF_SCAN:
            scan = start
        elif marker in PICTURE_SEGMENTS:
            parts.append(jpeg[start:end])
    return b"".join([*parts, jpeg[scan:]])


def is_progressive(jpeg: bytes) -> bool:
    """Whether a JPEG is progressive: whether each of its scans refines the whole picture."""
    return _jpeg_frame(jpeg)[0] in PROGRESSIVE_MARKERS


def has_many_scans(jpeg: bytes) -> bool:
    """Whether a JPEG has more scans than encoders write. Each may take only a dozen bytes, and as long to decode as the
    whole picture.
    """
    at = next((start for marker, start, _ in _jpeg_segments(jpeg) if marker == START_OF_SCAN), len(jpeg))
    scans = 0
    while scans <= MAX_SCANS and (found := SEGMENT.search(jpeg, at)) and found[1] != END_OF_IMAGE:
        scans += found[1][0] == START_OF_SCAN
        at = found.end() + max(2, int.from_bytes(jpeg[found.end() : found.end() + 2], "big"))
    return scans > MAX_SCANS


def _sniff_iso_media(data: bytes) -> str:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    if brands & AVIF_BRANDS:
        return "AVIF"
    if brands & HEIC_BRANDS:
        return "HEIC"
    raise ImageError("not an image: it is an MP4 or QuickTime video")


def _describe(data: bytes) -> str:
    for offset, magic, what in NOT_PICTURES:
        if data.startswith(magic, offset):
            return f"it is {what}"
    text = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "it is an HTML page"
    if text.startswith((b"<svg", b"<?xml")):
        return "it is an SVG drawing or another XML document"
    return f"it starts with {data[:12]!r}"


def _jpeg_size(data: bytes) -> tuple[int, int]:
    return _jpeg_frame(data)[1:]


def _jpeg_frame(data: bytes) -> tuple[int, int, int]:
    """Return the start-of-frame marker, the width and the height."""
    for marker, start, _ in _jpeg_segments(data):
        if marker in SOF_MARKERS:
            height, width = struct.unpack_from(">HH", data, start + 5)
            return marker, width, height
        if marker in FRAMELESS:
            break
    raise ValueError("no start of frame")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker, start and end of every segment up to the first scan, by the rules of libjpeg (``jdmarker.c``).

    With other rules, a file could show a small frame here and a huge one to the decoder.

    :raises ImageError: there are too many.
    """
    at, marker, found = 2, 0, 0
    while marker not in FRAMELESS:
        if found == MAX_SEGMENTS:
            raise ImageError(f"damaged JPEG: more than {MAX_SEGMENTS:,} segments before its picture")
        start = data.find(0xFF, at)  # bytes between segments are skipped
        at = start
        while 0 <= at < len(data) and data[at] == 0xFF:  # fill bytes
            at += 1
        if not 0 <= at < len(data) - 3:
            return
        marker = data[at]
        if marker == 0x00 or marker == 0x01 or 0xD0 <= marker <= 0xD7:  # a stuffed zero, or a marker without a segment
            continue
        (length,) = struct.unpack_from(">H", data, at + 1)
        end = at + 1 + max(2, length)
        yield marker, at - 1, end
        at = end
        found += 1


def _png_size(data: bytes) -> tuple[int, int]:
    width, height, *_ = struct.unpack_from(">IIBBBBB", data, 16)  # a shorter header is damaged
    return width, height


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return width, abs(height)  # negative if the rows are stored from the top


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("unknown chunk")


def _tiff_size(data: bytes) -> tuple[int, int]:
    tags = tiff_tags(data)
    return tags[256], tags[257]


def _iso_media_size(data: bytes) -> tuple[int, int]:
    """Return the largest size in an ``ispe`` box: a HEIC file holds tiles, thumbnails and the picture they make.

    Only the ``meta`` box counts: in compressed pixels, these four bytes are chance.
    """
    meta = find_box(data, b"meta")
    return max((struct.unpack_from(">II", meta, at + 8) for at in _find_all(meta, b"ispe")), key=math.prod)


def _avif_size(data: bytes) -> tuple[int, int]:
    """Return the largest size that is stated or encoded: the decoder decodes before it looks at the stated size.

    :raises ValueError: no picture is encoded.
    """
    coded = max(coded_sizes(data, find_box(data, b"meta")), key=math.prod)
    return max(_iso_media_size(data), coded, key=math.prod)


def _find_all(data: bytes, word: bytes) -> Iterator[int]:
    """Yield each position of a word. :raises ValueError: there are too many."""
    at, found = data.find(word), 0
    while at >= 0:
        if found == MAX_SIZES:
            raise ValueError(f"more than {MAX_SIZES:,} of {word!r}")
        yield at
        at = data.find(word, at + 1)
        found += 1


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "GIF": _gif_size,
    "BMP": _bmp_size,
    "WebP": _webp_size,
    "TIFF": _tiff_size,
    "HEIC": _iso_media_size,
    "AVIF": _avif_size,
}
