"""What can be told of one photo without a network: its bytes, its type, its size, its light, its perceptual hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from hierpets.data.formats import picture_size, sniff
from hierpets.data.listing import DEMO_PREFIX
from hierpets.data.photos import Limits, read_photo
from hierpets.errors import ImageError

__all__ = ["Facts", "look", "stamp"]

ENOUGH = 256  # pixels of the shorter side: hash and light need no more
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
STRIDE = 4  # every sixteenth pixel tells light and color well enough
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Facts:
    """One photo. ``error`` says why it cannot be read; what needs pixels is then None.

    ``width`` and ``height`` are pixels as stored. ``dark`` and ``light`` are the 5th and 95th percentile of brightness,
    ``color`` the 99th percentile of the difference between the channels, all as a share of the full range. ``phash``
    and ``mirrored_phash`` are 64-bit perceptual hashes, in hexadecimal, of the photo and of its mirror image. A JPEG is
    not ``complete`` when no end marker follows its last scan, even if a picture can be made of what is there.
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
    error: str | None = None
    complete: bool = True

    @property
    def misnamed(self) -> bool:
        """Whether the name's ending belongs to another type than the content."""
        return self.format in SUFFIXES and Path(self.path).suffix.lower() not in SUFFIXES[self.format]


def stamp(path: str) -> str:
    """What changes when a file does, without reading it: size and time of change; the name of a drawn photo."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return "absent"
    return f"{status.st_size}-{status.st_mtime_ns}"


def look(path: str) -> Facts:
    """Look at one photo, decoding it once. Never raises for a bad photo: that is a fact of its own."""
    if path.startswith(DEMO_PREFIX):
        return _of_pixels(Facts(path, content=_digest(path.encode())), path)
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > Limits().max_bytes:  # too large to read: refused by name, told apart by name
            read_photo(path)
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Facts(path, content=_digest(path.encode()), error=f"cannot be read: {reason}")
    except ImageError as error:
        return Facts(path, content=_digest(path.encode()), size=size, error=_reason(error, path))
    known = Facts(path, content=_digest(data), size=size)
    try:
        kind = sniff(data)
        width, height = picture_size(data, kind)
    except ImageError as error:
        return _with(known, error=str(error) if data else "the file is empty")
    complete = kind != "JPEG" or data.rfind(JPEG_END) > data.rfind(JPEG_SCAN)
    return _of_pixels(_with(known, format=kind, width=width, height=height, complete=complete), data)


def _of_pixels(known: Facts, source: str | bytes) -> Facts:
    try:
        photo = read_photo(source, shorter_side=ENOUGH)
    except ImageError as error:
        return _with(known, error=_reason(error, source if isinstance(source, str) else "the photo"))
    sample = photo[::STRIDE, ::STRIDE]
    dark, light = np.percentile(sample @ LUMA / 255, [5, 95])
    picture = Image.fromarray(photo)
    return _with(
        known,
        width=known.width or photo.shape[1],
        height=known.height or photo.shape[0],
        dark=float(dark),
        light=float(light),
        color=float(np.percentile(np.ptp(sample, axis=2), 99) / 255),
        phash=str(imagehash.phash(picture)),
        mirrored_phash=str(imagehash.phash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
    )


def _with(facts: Facts, **known: object) -> Facts:
    return replace(facts, **known)  # type: ignore[arg-type]


def _reason(error: ImageError, name: str) -> str:
    """The message without the name in front of it, which the facts hold already."""
    return str(error).removeprefix(f"{name}: ")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
