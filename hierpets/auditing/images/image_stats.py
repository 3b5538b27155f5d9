"""Statistics of one photo that need no network: bytes, format, size, brightness, color, perceptual hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from hierpets.data.addresses import (
    DEMO_PREFIX,
    file_of,
    parse_address,
    photo_suffix,
    read_address,
    read_file,
    stamp_of,
)
from hierpets.data.content import digest
from hierpets.data.decoding.formats import picture_size, sniff
from hierpets.data.photos import DEFAULT_LIMITS, read_photo
from hierpets.errors import ImageError, reason_of, without_name

__all__ = ["ImageStats", "file_stamp", "measure_image"]

DECODED_SIDE = 256  # pixels of the shorter side: enough for hash and brightness
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "WebP": {".webp"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
    "HEIC": {".heic", ".heif"},
    "AVIF": {".avif"},
}
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
STRIDE = 4  # every sixteenth pixel is enough for brightness and color
TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class ImageStats:
    """Statistics of one photo. ``error`` says why it cannot be read; all that needs pixels is then None.

    ``content`` is a SHA-256 of the file, ``size`` its bytes, ``width`` and ``height`` its pixels as stored. ``dark``
    and ``light`` are the 5th and 95th percentile of brightness, ``color`` the 99th percentile of the difference between
    the channels, all in [0, 1]. ``phash`` and ``mirrored_phash`` are 64-bit perceptual hashes, in hexadecimal, of the
    photo and of its mirror image, ``turned_phashes`` of the photo rotated by 90, 180 and 270 degrees. A JPEG is not
    ``complete`` if no end marker follows its last scan, even if it can be decoded.
    """

    path: str
    content: str
    size: int = 0
    format: str | None = None
    width: int | None = None
    height: int | None = None
    dark: float | None = None
    light: float | None = None
    color: float | None = None
    phash: str | None = None
    mirrored_phash: str | None = None
    turned_phashes: tuple[str, ...] = ()
    error: str | None = None
    complete: bool = True

    @property
    def misnamed(self) -> bool:
        """Whether the extension belongs to another format than the content."""
        suffix = photo_suffix(self.path)
        return suffix is not None and self.format in SUFFIXES and suffix not in SUFFIXES[self.format]


def file_stamp(path: str) -> str | None:
    """Size and modification time of a photo's file, or of the archive or table with the photo, to detect changes; None
    if there is no such local file.
    """
    try:
        return stamp_of(file_of(path)) or None
    except (OSError, ValueError):
        return None


def measure_image(path: str) -> ImageStats:
    """Measure one photo, decoding it once. An unreadable photo raises no error, but has an ``error``."""
    unread = ImageStats(path, content=digest(b"", path))
    if path.startswith(DEMO_PREFIX):
        return _with_pixels(unread, path)
    size = 0
    try:
        size, data = _content(path)
        if size > DEFAULT_LIMITS.max_bytes:
            read_photo(path)  # raises an error without reading it
    except (OSError, ValueError) as error:
        return replace(unread, error=f"cannot be read: {reason_of(error)}")
    except ImageError as error:
        return replace(unread, size=size, error=without_name(error, path))
    known = ImageStats(path, content=digest(data, path), size=size)
    try:
        kind = sniff(data)
        width, height = picture_size(data, kind)
    except ImageError as error:
        return replace(known, error=str(error) if data else "the file is empty")
    complete = kind != "JPEG" or data.rfind(JPEG_END) > data.rfind(JPEG_SCAN)
    return _with_pixels(replace(known, format=kind, width=width, height=height, complete=complete), data)


def _content(path: str) -> tuple[int, bytes]:
    """Return the size of a photo's file and, if it is within limits, its content."""
    if address := parse_address(path):
        return read_address(address, DEFAULT_LIMITS.max_bytes)
    return read_file(Path(path), DEFAULT_LIMITS.max_bytes)


def _with_pixels(known: ImageStats, source: str | bytes) -> ImageStats:
    try:
        # Without warnings: those of a damaged photo come when its features are computed.
        photo = read_photo(source, shorter_side=DECODED_SIDE, warn=lambda _: None)
    except ImageError as error:
        return replace(known, error=without_name(error, source if isinstance(source, str) else "the photo"))
    sample = photo[::STRIDE, ::STRIDE]
    dark, light = np.percentile(sample @ LUMA / 255, [5, 95])
    picture = Image.fromarray(photo)
    return replace(
        known,
        width=known.width or photo.shape[1],
        height=known.height or photo.shape[0],
        dark=float(dark),
        light=float(light),
        color=float(np.percentile(np.ptp(sample, axis=2), 99) / 255),
        phash=str(imagehash.phash(picture)),
        mirrored_phash=str(imagehash.phash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
        turned_phashes=tuple(str(imagehash.phash(picture.transpose(turn))) for turn in TURNS),
    )
