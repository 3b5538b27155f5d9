"""Decode every format to RGB uint8 [H, W, 3], upright. No other module decodes.

libjpeg-turbo decodes JPEG through simplejpeg, which returns the warnings that OpenCV prints: the same pixels in two
thirds of the time. libheif decodes HEIC, OpenCV everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import simplejpeg

from hierpets.data.decoding.av1 import as_still_avif
from hierpets.data.decoding.damage import Warn, check_png, check_zero_tail, is_blur, missing_share, pixel_chunks
from hierpets.data.decoding.formats import (
    MAX_SCANS,
    exif_orientation,
    has_many_scans,
    is_progressive,
    jpeg_without_extras,
    stored_orientation,
)
from hierpets.data.decoding.orientation import apply_orientation
from hierpets.data.decoding.silent_damage import check_silent_damage
from hierpets.environment import prepare_environment
from hierpets.errors import ImageError
from hierpets.libraries import needed_for

prepare_environment()
import cv2  # noqa: E402

__all__ = ["decode", "jpeg_reduction"]

STRIP_PIXELS = 1 << 20  # pixels that are converted at a time
REDUCTIONS = (8, 4, 2)  # at which libjpeg decodes, by leaving out frequencies
MAX_MISSING = 1 / 16  # share of a JPEG's rows
# A bad photo raises an ImageError here; what cv2 logs about it would break the progress bar.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def jpeg_reduction(shorter: int, target: int | None) -> int:
    """Return the largest reduction that leaves ``target`` pixels of the ``shorter`` side; 1 without a target."""
    return next((n for n in REDUCTIONS if target and shorter // n >= target), 1)


def decode(data: bytes, kind: str, size: tuple[int, int], *, reduction: int, warn: Warn) -> np.ndarray:
    """Decode a file of format ``kind`` and ``size`` (width, height) to RGB uint8 [H, W, 3]; a JPEG at a ``reduction``.

    ``warn`` receives what is wrong with a picture most of which is there.

    :raises ImageError: the picture cannot be decoded, or too much of it is missing.
    """
    if kind == "JPEG":
        return _decode_jpeg(data, size, reduction, warn)
    if kind == "PNG":
        check_png(data)
        return _decode_any(pixel_chunks(data), kind)
    if kind == "AVIF":
        data = as_still_avif(data)
    check_zero_tail(data, kind, warn)
    photo = _decode_heic(data) if kind == "HEIC" else _decode_any(data, kind)
    check_silent_damage(data, kind, photo, warn, _decode_any)
    return photo


def _decode_jpeg(data: bytes, size: tuple[int, int], reduction: int, warn: Warn) -> np.ndarray:
    whole = data.rstrip(b"\0")  # a broken download may be filled up with zeros, which decode as pixels
    check_zero_tail(whole, "JPEG", warn)
    if has_many_scans(whole):
        raise ImageError(f"damaged JPEG: it has more than {MAX_SCANS} scans")
    width, height = (math.ceil(side / reduction) for side in size)
    message = ""
    try:
        photo = _turbo(whole, width, height, reduction, strict=True)
    except ValueError as error:
        message = str(error)
        photo = _damaged_jpeg(whole, width, height, reduction)
    _check_jpeg(whole, photo, message)
    if message:
        warn(f"damaged JPEG: {message}")
    return _upright(photo, stored_orientation(whole))


def _damaged_jpeg(data: bytes, width: int, height: int, reduction: int) -> np.ndarray:
    try:
        return _turbo(jpeg_without_extras(data), width, height, reduction, strict=False)
    except ValueError as error:
        raise ImageError(f"truncated or damaged JPEG: {error}") from None


def _check_jpeg(data: bytes, photo: np.ndarray, message: str) -> None:
    """Check that the picture is complete; ``message`` is what libjpeg said about it, if anything.

    :raises ImageError: part of it is missing.
    """
    cut = "premature" in message.lower()
    if cut and (missing := missing_share(photo)) > MAX_MISSING:
        raise ImageError(f"truncated JPEG: the lower {missing:.0%} of the picture is missing ({message})")
    if is_progressive(data) and is_blur(jpeg_without_extras(data), cut=cut):
        raise ImageError("truncated JPEG: only a blurred picture is there")


def _turbo(data: bytes, width: int, height: int, reduction: int, *, strict: bool) -> np.ndarray:
    """Decode a JPEG to RGB uint8 [height, width, 3]. :raises ValueError: libjpeg fails or, if ``strict``, warns."""
    # The buffer bounds what is decoded, even if libjpeg finds another size than our parser.
    buffer = np.empty((height, width, 3), np.uint8)
    size = {"min_height": height, "min_width": width, "min_factor": reduction} if reduction > 1 else {}
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB", buffer=buffer, strict=strict, **size))


def _decode_any(data: bytes, kind: str) -> np.ndarray:
    """Decode any format but JPEG and HEIC. Only ``IMREAD_UNCHANGED`` keeps alpha and 16 bits; it ignores EXIF."""
    try:
        photo, types, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        photo = None
    if photo is None:
        unsupported = kind == "AVIF" and not cv2.haveImageWriter(".avif")  # builds that read AVIF also write it
        hint = "; this build of OpenCV lacks AVIF" if unsupported else ""
        raise ImageError(f"truncated or damaged {kind}: it cannot be decoded{hint}")
    rgb = _to_rgb(photo, kind)
    if kind == "TIFF":  # OpenCV has applied its orientation
        return rgb
    if kind == "AVIF":
        return apply_orientation(rgb, data)
    exif = next((bytes(b) for t, b in zip(np.ravel(types), blocks, strict=False) if t == cv2.IMAGE_METADATA_EXIF), b"")
    return _upright(rgb, exif_orientation(exif)) if exif else rgb


def _to_rgb(photo: np.ndarray, kind: str) -> np.ndarray:
    """Convert gray, BGR or BGRA of 8 or 16 bits, as cv2 decodes it, to RGB uint8 [H, W, 3]."""
    if photo.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"unsupported {kind}: samples of type {photo.dtype}, expected 8 or 16 bits")
    return _by_strips(photo, lambda strip: _strip_to_rgb(strip, premultiplied=kind == "TIFF"))


def _by_strips(photo: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Convert a few rows at a time to RGB uint8 [H, W, 3], so that the whole photo is never copied in a wider type."""
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
    """Compose BGRA over white. libtiff returns colors already multiplied by alpha."""
    rgb = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB).astype(np.uint16)
    alpha = bgra[..., 3:].astype(np.uint16)
    if not premultiplied:
        rgb = (rgb * alpha + 127) // 255
    return np.minimum(rgb + (255 - alpha), 255).astype(np.uint8)


def _upright(photo: np.ndarray, orientation: int) -> np.ndarray:
    """Undo one of the eight EXIF orientations."""
    if orientation >= 5:  # on its side
        photo = photo.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(photo[rows, columns])


def _decode_heic(data: bytes) -> np.ndarray:
    """Decode a HEIC file; libheif applies its orientation."""
    with needed_for("a HEIC photo", ImageError):
        import pillow_heif
    try:
        picture: Any = pillow_heif.read_heif(data)
        pixels = np.asarray(picture)
    except Exception as error:  # libheif's errors share no base class
        message = " ".join(str(error).split())  # it ends with a new line
        raise ImageError(f"truncated or damaged HEIC: {message}") from error
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if pixels.shape[2] == 4:
        premultiplied = picture.mode == "RGBa"
        return _by_strips(
            pixels, lambda strip: _on_white(cv2.cvtColor(strip, cv2.COLOR_RGBA2BGRA), premultiplied=premultiplied)
        )
    return np.array(pixels)  # a copy: older versions free the pixels with the picture
