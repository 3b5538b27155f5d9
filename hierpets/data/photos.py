"""Read a photo: a path or address, bytes, a demo name or an array becomes RGB uint8 [H, W, 3], upright and bounded.

The only module that decodes. The content decides the format, never the file's name, and the header is checked
against :class:`Limits` before a pixel is decoded.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from hierpets.data.addresses import DEMO_PREFIX, parse_address, read_address
from hierpets.data.formats import bytes_per_pixel, exif_orientation, is_progressive, picture_size, sniff, whole_png
from hierpets.errors import ConfigError, ImageError

MAX_PIXELS = 200_000_000
# OpenCV reads this once, when it is loaded: what is hidden from the header check below, it refuses itself.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
import cv2  # noqa: E402

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "DEFAULT_LIMITS",
    "DEMO_PREFIX",
    "Limits",
    "NamedPhoto",
    "Photo",
    "is_photo_object",
    "photo_size",
    "read_photo",
]

Photo = Union[str, "os.PathLike[str]", bytes, np.ndarray, "Image.Image"]
"""What can be read: a path or an address (:mod:`hierpets.data.addresses`), the bytes of a file, pixels uint8 [H, W, 3]
in RGB or [H, W] in gray, or a PIL image."""


class NamedPhoto(NamedTuple):
    """A photo under the name that its record and its error use."""

    name: str
    photo: Photo

    @classmethod
    def of(cls, photo: Photo | NamedPhoto) -> NamedPhoto:
        """Named by its path, or ``<array>``, ``<image>``, ``<bytes>`` if it has none.

        :raises ConfigError: not a photo.
        """
        if isinstance(photo, NamedPhoto):
            return photo
        if isinstance(photo, str | os.PathLike):
            return cls(os.fsdecode(photo), photo)
        if not is_photo_object(photo):
            raise ConfigError(
                f"expected a photo: a path, bytes, a uint8 array [H, W, 3] or a PIL image; got {type(photo).__name__}"
            )
        if isinstance(photo, bytes | bytearray | memoryview):
            return cls("<bytes>", bytes(photo))
        if isinstance(photo, np.ndarray):
            return cls("<array>", photo)
        return cls(getattr(photo, "filename", "") or "<image>", photo)


def is_photo_object(photo: object) -> bool:
    """Whether this is one photo that lies in memory or at a path, not several."""
    return isinstance(photo, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray) or _is_image(photo)


def _is_image(photo: object) -> bool:
    """Whether this is a PIL image; PIL is not imported to find out."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(photo, pil.Image)


JPEG_END = b"\xff\xd9"
STRIP_PIXELS = 1 << 20  # pixels that are converted at a time
# libjpeg can decode at 1/8, 1/4 or 1/2 by leaving out frequencies. The gray flag with the RGB flag means reduced RGB:
# the flags named COLOR hold the BGR bit, and cv2 refuses both orders at once.
REDUCED = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB),
)
# What cv2 logs about a bad photo is raised as an ImageError here; logged as well, it would break the progress bar.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class Limits:
    """What a photo may cost: bytes of the file, pixels of the picture, and bytes that a decoder needs for them; all
    are checked before decoding.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = MAX_PIXELS

    @property
    def max_decoded_bytes(self) -> int:
        """Four for each pixel: 16 bits a channel are taken up to a smaller size."""
        return 4 * self.max_pixels


DEFAULT_LIMITS = Limits()


def read_photo(source: Photo, *, shorter_side: int | None = None, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """RGB uint8 [H, W, 3], upright: JPEG, PNG, GIF (first frame), WebP, BMP, TIFF, and HEIC with the extra ``heic``.

    Transparent pixels are laid on white, 16 bits become 8, EXIF orientation is applied. With ``shorter_side``, a
    JPEG is decoded at the largest reduction (2, 4, 8) that keeps its shorter side at or above that.
    An array is taken as an already decoded photo, uint8 [H, W, 3] in RGB or [H, W] in gray.

    Raises :class:`ImageError`, which names the source and says why it cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _checked_array(source, limits)
    if not isinstance(source, str | os.PathLike | bytes):
        return _from_image(source, limits)
    name = "the photo" if isinstance(source, bytes) else os.fspath(source)
    try:
        if name.startswith(DEMO_PREFIX):
            return _render_demo(name)
        return _decode(_load(source, limits), shorter_side, limits)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__


def photo_size(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int]:
    """(width, height) in pixels as stored in the file, from its header alone."""
    try:
        data = _load(source, limits)
        return picture_size(data, sniff(data))
    except ImageError as error:
        name = "the photo" if isinstance(source, bytes) else os.fspath(source)
        raise ImageError(f"{name}: {error}") from None


def _render_demo(uri: str) -> np.ndarray:
    from hierpets.data.demo import render

    return render(uri)


def _checked_array(photo: np.ndarray, limits: Limits) -> np.ndarray:
    gray = photo.ndim == 2
    if photo.dtype != np.uint8 or not (gray or (photo.ndim == 3 and photo.shape[2] == 3)) or photo.size == 0:
        raise ImageError(
            f"expected a uint8 array [H, W, 3] (RGB) or [H, W] (gray), got {photo.dtype} {list(photo.shape)}"
        )
    _check_pixels(photo.shape[1], photo.shape[0], limits)
    return cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB) if gray else photo


def _from_image(image: Image.Image, limits: Limits) -> np.ndarray:
    from PIL import Image, ImageOps

    _check_pixels(image.width, image.height, limits)
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return np.asarray(upright.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:  # a lazily opened file that is damaged
        raise ImageError(f"the image cannot be read: {error}") from error


def _load(source: str | os.PathLike[str] | bytes, limits: Limits) -> bytes:
    if isinstance(source, bytes):
        size, data = len(source), source
    elif isinstance(source, str) and (address := parse_address(source)):
        size, data = read_address(address, limits.max_bytes)
    else:
        size, data = _load_file(Path(source), limits)
    if size > limits.max_bytes:
        raise ImageError(f"{size / 2**20:.1f} MB, above the limit of {limits.max_bytes / 2**20:.1f} MB")
    if not size:
        raise ImageError("the file is empty")
    return data


def _load_file(path: Path, limits: Limits) -> tuple[int, bytes]:
    """The size in bytes and, when the size is within limits, the content."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError("is a folder; expected a photo")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("is not a regular file")
        if status.st_size > limits.max_bytes:
            return status.st_size, b""
        data = path.read_bytes()
        return len(data), data
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _check_pixels(width: int, height: int, limits: Limits) -> None:
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


def _decode(data: bytes, shorter_side: int | None, limits: Limits) -> np.ndarray:
    kind = sniff(data)
    width, height = picture_size(data, kind)
    _check_pixels(width, height, limits)
    _check_decoded(width * height * bytes_per_pixel(data, kind), limits)
    photo = _decode_kind(data, kind, min(width, height), shorter_side)
    if photo.shape[0] * photo.shape[1] > width * height:
        raise ImageError(
            f"damaged {kind}: its header says {width} x {height} pixels, {photo.shape[1]} x {photo.shape[0]} came out"
        )
    return photo


def _decode_kind(data: bytes, kind: str, shorter: int, target: int | None) -> np.ndarray:
    if kind == "JPEG":
        return _decode_jpeg(data, shorter, target)
    if kind == "HEIC":
        return _decode_heic(data)
    if kind == "PNG" and (fault := whole_png(data)):
        raise ImageError(f"{fault} PNG: its chunks are incomplete")
    return _decode_any(data, kind)


def _imdecode(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _decode_jpeg(data: bytes, shorter: int, target: int | None) -> np.ndarray:
    flags = next((flag for n, flag in REDUCED if target and shorter // n >= target), cv2.IMREAD_COLOR_RGB)
    whole = data.rstrip(b"\0")  # a download that broke off may be filled up with zeros, which decode as picture
    if len(whole) == len(data) or whole.endswith(JPEG_END):
        photo = _imdecode(data, flags)
        if photo is not None:
            return photo
    # cv2 refuses a JPEG without its end marker. A file that lost only its last bytes still holds the whole picture.
    repaired = whole + JPEG_END
    photo = _imdecode(repaired, flags)
    if photo is None:
        raise ImageError("truncated or damaged JPEG: it cannot be decoded")
    if is_progressive(data) or _bottom_is_missing(repaired):
        raise ImageError(f"truncated JPEG: the file ends after {len(whole):,} bytes, before the end of the image")
    return photo


def _bottom_is_missing(data: bytes) -> bool:
    """Whether the last row of a JPEG is one flat gray: what libjpeg fills in where the data ran out."""
    luma = _imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    return luma is None or np.ptp(luma[-1]) == 0


def _decode_any(data: bytes, kind: str) -> np.ndarray:
    """Any format but JPEG and HEIC: alpha and 16 bits survive only an unchanged decode, which leaves EXIF to us."""
    try:
        photo, types, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        photo = None
    if photo is None:
        hint = "; this build of OpenCV may lack AVIF" if kind == "AVIF" else ""
        raise ImageError(f"truncated or damaged {kind}: it cannot be decoded{hint}")
    rgb = _to_rgb(photo, kind)
    if kind == "TIFF":  # its decoder has turned it already
        return rgb
    exif = next((bytes(b) for t, b in zip(np.ravel(types), blocks, strict=False) if t == cv2.IMAGE_METADATA_EXIF), b"")
    return _turn(rgb, exif_orientation(exif)) if exif else rgb


def _to_rgb(photo: np.ndarray, kind: str) -> np.ndarray:
    """RGB uint8 [H, W, 3] of what cv2 gives unchanged: gray, BGR or BGRA, of 8 or 16 bits."""
    if photo.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"unsupported {kind}: samples of type {photo.dtype}, expected 8 or 16 bits")
    return _by_strips(photo, lambda strip: _strip_to_rgb(strip, premultiplied=kind == "TIFF"))


def _by_strips(photo: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """RGB uint8 [H, W, 3]: rows are converted a few at a time, so that wide copies of the whole are never made."""
    rows = max(1, STRIP_PIXELS // max(1, photo.shape[1]))
    rgb = np.empty((*photo.shape[:2], 3), np.uint8)
    for top in range(0, len(photo), rows):
        rgb[top : top + rows] = convert(photo[top : top + rows])
    return rgb


def _strip_to_rgb(strip: np.ndarray, *, premultiplied: bool) -> np.ndarray:
    if strip.dtype == np.uint16:
        strip = ((strip.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if strip.ndim == 2:
        return cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB)
    if strip.shape[2] == 3:
        return cv2.cvtColor(strip, cv2.COLOR_BGR2RGB)
    return _on_white(strip, premultiplied=premultiplied)


def _on_white(bgra: np.ndarray, *, premultiplied: bool) -> np.ndarray:
    """Lay BGRA on white. libtiff hands out colors already multiplied by alpha."""
    rgb = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB).astype(np.uint16)
    alpha = bgra[..., 3:].astype(np.uint16)
    if not premultiplied:
        rgb = (rgb * alpha + 127) // 255
    return np.minimum(rgb + (255 - alpha), 255).astype(np.uint8)


def _turn(photo: np.ndarray, orientation: int) -> np.ndarray:
    """Undo one of the eight EXIF orientations."""
    if orientation >= 5:  # 5 to 8 lie on their side
        photo = photo.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(photo[rows, columns])


def _decode_heic(data: bytes) -> np.ndarray:
    """libheif applies the turning that the file asks for."""
    try:
        import pillow_heif
    except ImportError:
        raise ImageError("a HEIC photo needs the extra: pip install 'hierpets[heic]'") from None
    try:
        picture: Any = pillow_heif.read_heif(data)
        pixels = np.asarray(picture)
    except Exception as error:  # libheif's errors share no base class
        raise ImageError(f"truncated or damaged HEIC: {error}") from error
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if pixels.shape[2] == 4:
        premultiplied = picture.mode == "RGBa"
        return _by_strips(
            pixels, lambda strip: _on_white(cv2.cvtColor(strip, cv2.COLOR_RGBA2BGRA), premultiplied=premultiplied)
        )
    return np.ascontiguousarray(pixels)
