"""Read a photo: a path or address, bytes, a demo name or an array becomes RGB uint8 [H, W, 3], upright and bounded.

The content decides the format, never the file's name, and the header is checked against :class:`Limits` before a pixel
is decoded.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from hierpets.data.addresses import DEMO_PREFIX, parse_address, read_address, read_file
from hierpets.data.decoding.damage import Warn
from hierpets.data.decoding.decoders import decode, jpeg_reduction
from hierpets.data.decoding.formats import bytes_per_pixel, picture_size, sniff
from hierpets.environment import MAX_PIXELS
from hierpets.errors import ConfigError, ImageError, check_count, check_type, reason_of
from hierpets.workers import MemoryBudget, ProcessLock

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "DEFAULT_LIMITS",
    "UNNAMED",
    "Limits",
    "NamedPhoto",
    "Photo",
    "is_one_photo",
    "not_a_photo",
    "read_bytes",
    "read_photo",
    "too_large",
]

UNNAMED = "the photo"
"""What errors call a photo that comes without a name."""

Photo = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, np.ndarray, "Image.Image"]
"""What can be read: a path or an address (:mod:`hierpets.data.addresses`), the bytes of a file, pixels uint8 [H, W, 3]
in RGB or [H, W] in gray, or a PIL image."""


class NamedPhoto(NamedTuple):
    """A photo under the name that its record and its error use."""

    name: str
    photo: Photo

    @classmethod
    def of(cls, photo: Photo | NamedPhoto) -> NamedPhoto:
        """Named by its path, or ``<array>``, ``<image>``, ``<bytes>`` if it has none.

        :raises ConfigError: not a photo, or a name that is no text.
        """
        name = None
        if isinstance(photo, NamedPhoto):
            name, photo = photo
            check_type("the name of a photo", name, str, "text")
        if not _is_photo(photo):
            raise not_a_photo(photo)
        if isinstance(photo, bytearray | memoryview):  # which may change before it is read
            photo = bytes(photo)
        return cls(str(_name_of(photo) if name is None else name), photo)  # str(): that of an array is of another type

    @classmethod
    def several(cls, photos: Any) -> Iterator[NamedPhoto]:
        """Yield each of several photos under its name; an item that is none raises when it is reached, with its number.

        Photos from an iterator are copied as they are taken: a video, or a file of several pages, may reuse the memory.

        :raises ConfigError: not several, or one is no photo.
        """
        if is_one_photo(photos):
            raise ConfigError("expected several photos, such as a list of paths, got one; predict takes one")
        if isinstance(photos, Mapping) or hasattr(photos, "columns"):  # which gives the names of its columns, if any
            raise ConfigError(f"expected photos, got {type(photos).__name__}; pass the column of them: table['path']")
        if not isinstance(photos, Iterable) or hasattr(photos, "read") or getattr(photos, "ndim", 1) == 0:
            raise not_a_photo(photos)
        named = starmap(cls._numbered, enumerate(photos))
        return named if isinstance(photos, Collection) else map(cls._copied, named)

    @classmethod
    def _numbered(cls, number: int, photo: Any) -> NamedPhoto:
        if hasattr(photo, "as_py"):  # a cell of a column of Arrow
            photo = photo.as_py()
        try:
            return cls.of(photo)
        except ConfigError as error:
            raise ConfigError(f"photos[{number}]: {error}") from None

    def _copied(self) -> NamedPhoto:
        return self._replace(photo=_copy(self.photo))


def _name_of(photo: Photo) -> str:
    if isinstance(photo, str | os.PathLike):
        return os.fsdecode(photo)
    if isinstance(photo, bytes):
        return "<bytes>"
    if isinstance(photo, np.ndarray):
        return "<array>"
    return os.fsdecode(getattr(photo, "filename", "") or "<image>")


def not_a_photo(given: object) -> ConfigError:
    """Return the error for something that is not a photo. An open file is not read here: its size is unbounded."""
    kinds = "a path, bytes, a uint8 array [H, W, 3] or a PIL image"
    hint = "; read it first: file.read()" if hasattr(given, "read") else ""
    if getattr(given, "ndim", 0) > 1:  # a tensor, or a row of one
        hint = "; make an array of the tensor: numpy.asarray(photo)"
    return ConfigError(f"expected a photo: {kinds}; got {type(given).__name__}{hint}")


def is_one_photo(given: object) -> bool:
    """Whether this is one photo, named or not, and not several."""
    return isinstance(given, NamedPhoto) or _is_photo(given)


def _is_photo(photo: object) -> bool:
    """Whether this is one photo that lies in memory or at a path, not several, such as an array of paths."""
    if isinstance(photo, np.ndarray):
        return photo.dtype.kind not in "OSTU"
    return isinstance(photo, str | os.PathLike | bytes | bytearray | memoryview) or _is_image(photo)


def _is_image(photo: object) -> bool:
    """Whether this is a PIL image; PIL is not imported to find out."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(photo, pil.Image)


def _copy(photo: Photo) -> Photo:
    """Copy pixels that may change; an opened file of one picture is decoded by whoever reads it."""
    if isinstance(photo, np.ndarray):
        return photo.copy()
    if isinstance(photo, str | os.PathLike | bytes | bytearray | memoryview):
        return photo
    with suppress(OSError, ValueError, SyntaxError):  # it is damaged, and fails again where it is read
        if getattr(photo, "fp", None) is None or getattr(photo, "n_frames", 1) > 1:
            return photo.copy()
    return photo


@dataclass(frozen=True)
class Limits:
    """What a photo may cost: bytes of the file, pixels of the picture, and bytes of memory to decode them; all are
    checked before decoding.

    :raises ConfigError: one is no whole number, or less than 1.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        check_count("max_bytes", self.max_bytes)
        check_count("max_pixels", self.max_pixels)

    @property
    def max_decoded_bytes(self) -> int:
        """Four for each pixel, enough for a JPEG of that size; others take up to eleven, and are taken up to a
        smaller size.
        """
        return 4 * self.max_pixels


DEFAULT_LIMITS = Limits()
DECODING = MemoryBudget(512 * 2**20)
"""Bytes that all threads of the process may decode at the same time: several large photos take turns."""
COPIES = {"AVIF": 5}
"""How many times what its pixels take a decoder needs: 17 bytes a pixel for an AVIF, 32 for a transparent one. It waits
for its turn; refused for that, ordinary photos would be.
"""

# One image given twice is decoded by one thread at a time, and others meanwhile: each takes the lock of its address.
_DECODING_IMAGE = tuple(ProcessLock() for _ in range(61))

_log = logging.getLogger(__name__)


def read_photo(
    source: Photo,
    *,
    shorter_side: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    warn: Warn | None = None,
) -> np.ndarray:
    """RGB uint8 [H, W, 3], upright: JPEG, PNG, GIF (first frame), WebP, BMP, TIFF, AVIF; HEIC with the extra ``heic``.

    Transparent pixels are laid on white, 16 bits become 8, EXIF orientation is applied. With ``shorter_side``, a
    JPEG is decoded at the largest reduction (2, 4, 8) that keeps its shorter side at or above that.
    An array is taken as an already decoded photo, uint8 [H, W, 3] in RGB or [H, W] in gray.

    ``warn`` gets in one line what is wrong with a damaged photo whose picture is there for the most part; without it,
    the line is logged under the photo's name.

    :raises ImageError: it cannot be read; the message names the source and says why.
    """
    if isinstance(source, np.ndarray):
        return _checked_array(source, limits)
    if not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        return _from_image(source, limits)
    name = os.fsdecode(source) if source and isinstance(source, str | os.PathLike) else UNNAMED
    try:
        if name.startswith(DEMO_PREFIX):
            return _render_demo(name)
        return _decode(read_bytes(source, limits), shorter_side, limits, warn or partial(_log.warning, "%s: %s", name))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__


def _render_demo(uri: str) -> np.ndarray:
    from hierpets.data.demo import render

    return render(uri)


def _checked_array(photo: np.ndarray, limits: Limits) -> np.ndarray:
    gray = photo.ndim == 2
    if photo.dtype != np.uint8 or not (gray or (photo.ndim == 3 and photo.shape[2] == 3)) or photo.size == 0:
        hint = "; several photos are given as a list: list(photos)" if photo.ndim == 4 else ""
        raise ImageError(
            f"expected a uint8 array [H, W, 3] (RGB) or [H, W] (gray), got {photo.dtype} {list(photo.shape)}{hint}"
        )
    _check_pixels(photo.shape[1], photo.shape[0], limits)
    return np.repeat(photo[..., None], 3, axis=2) if gray else photo


def _from_image(image: Image.Image, limits: Limits) -> np.ndarray:
    from PIL import Image, ImageOps

    _check_pixels(image.width, image.height, limits)
    try:
        with _DECODING_IMAGE[id(image) % len(_DECODING_IMAGE)]:
            upright = ImageOps.exif_transpose(image)  # decodes it, and gives a copy
        upright = _eight_bits(upright)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return np.asarray(upright.convert("RGB"))
    except AssertionError as error:  # what Pillow raises where there is no file any more
        raise ImageError("the image was closed before it was decoded; leave it open, or pass its path") from error
    except (OSError, ValueError, SyntaxError) as error:  # a lazily opened file that is damaged
        raise ImageError(f"the image cannot be read: {error}") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert an image of 16 bits to 8; Pillow's own conversion would clip values above 255."""
    if image.mode in ("I", "F"):
        raise ImageError(f"expected an image of 8 or 16 bits a channel, got Pillow's mode {image.mode} of 32")
    if not image.mode.startswith("I;16"):
        return image
    from PIL import Image

    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def too_large(size: int, limit: int) -> str:
    """Describe a size above the limit, in MB; it is rounded up, so that both numbers never look the same."""
    return f"{math.ceil(10 * size / 2**20) / 10} MB, above the limit of {limit / 2**20:.1f} MB"


def read_bytes(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """Read the content of a photo's file, or of what its address names, within ``limits``.

    :raises ImageError: it cannot be read, is empty, or too large.
    """
    if not isinstance(source, str | os.PathLike):
        data = bytes(source)
        size = len(data)
    elif isinstance(source, str) and (address := parse_address(source)):
        size, data = read_address(address, limits.max_bytes)
    elif not os.fspath(source):  # to pathlib it is the current folder
        raise ImageError("expected a path, got an empty one")
    else:
        size, data = _load_file(Path(os.fsdecode(source)), limits)
    if size > limits.max_bytes:
        raise ImageError(too_large(size, limits.max_bytes))
    if not size:
        raise ImageError("the file is empty")
    return data


def _load_file(path: Path, limits: Limits) -> tuple[int, bytes]:
    """Return the size in bytes and, if it is within limits, the content."""
    try:
        return read_file(path, limits.max_bytes)
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ImageError(f"cannot be read: {reason_of(error)}") from error


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if not width * height:
        raise ImageError(f"{width} x {height} pixels: there is nothing in it")
    if width * height > limits.max_pixels:
        raise ImageError(
            f"{width} x {height} pixels ({width * height / 1e6:.1f} MP), above the limit of "
            f"{limits.max_pixels / 1e6:.1f} MP"
        )


def _check_decoded(size: int, limits: Limits) -> None:
    if size > limits.max_decoded_bytes:
        raise ImageError(
            f"{size / 2**20:.0f} MB when decoded, above the limit of {limits.max_decoded_bytes / 2**20:.0f} MB"
        )


def _decode(data: bytes, shorter_side: int | None, limits: Limits, warn: Warn) -> np.ndarray:
    kind = sniff(data)
    width, height = picture_size(data, kind)
    _check_pixels(width, height, limits)
    reduction = jpeg_reduction(min(width, height), shorter_side) if kind == "JPEG" else 1
    size = int(width * height * bytes_per_pixel(data, kind, reduction))
    _check_decoded(size, limits)
    with DECODING.hold(size * COPIES.get(kind, 1)):
        photo = decode(data, kind, (width, height), reduction=reduction, warn=warn)
    if photo.shape[0] * photo.shape[1] > width * height:
        raise ImageError(
            f"damaged {kind}: its header says {width} x {height} pixels, {photo.shape[1]} x {photo.shape[0]} came out"
        )
    return photo
