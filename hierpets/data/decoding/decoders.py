"""Bytes of each format to RGB uint8 [H, W, 3], upright. The only module that decodes.

A JPEG is decoded by libjpeg-turbo through simplejpeg, which hands over its warnings where OpenCV prints them: the same
pixels, a third sooner. All other formats are decoded by OpenCV, but HEIC by libheif.
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
    MOST_SCANS,
    exif_orientation,
    has_many_scans,
    is_progressive,
    jpeg_without_extras,
    stored_orientation,
)
from hierpets.data.decoding.silent_damage import check_silent_damage
from hierpets.data.decoding.turning import turned
from hierpets.environment import prepare_environment
from hierpets.errors import ImageError
from hierpets.libraries import needed_for

prepare_environment()
import cv2  # noqa: E402

__all__ = ["decode", "jpeg_reduction"]

STRIP_PIXELS = 1 << 20  # pixels that are converted at a time
REDUCTIONS = (8, 4, 2)  # libjpeg decodes at these by leaving out frequencies
MOST_MISSING = 1 / 16  # of a JPEG's rows
# What cv2 logs about a bad photo is raised as an ImageError here; logged as well, it would break the progress bar.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def jpeg_reduction(shorter: int, target: int | None) -> int:
    """The largest reduction that leaves ``target`` of the ``shorter`` side's pixels; 1 without a target."""
    return next((n for n in REDUCTIONS if target and shorter // n >= target), 1)


def decode(data: bytes, kind: str, size: tuple[int, int], *, reduction: int, warn: Warn) -> np.ndarray:
    """RGB uint8 [H, W, 3] of a ``kind`` file of (width, height) pixels; a JPEG at a ``reduction``.

    ``warn`` is told what is wrong with a picture that is there for the most part.

    :raises ImageError: it is not.
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
    whole = data.rstrip(b"\0")  # a download that broke off may be filled up with zeros, which decode as picture
    check_zero_tail(whole, "JPEG", warn)
    if has_many_scans(whole):
        raise ImageError(f"damaged JPEG: it has more than {MOST_SCANS} scans")
    width, height = (math.ceil(side / reduction) for side in size)
    told = ""
    try:
        photo = _turbo(whole, width, height, reduction, strict=True)
    except ValueError as error:
        told = str(error)
        photo = _damaged_jpeg(whole, width, height, reduction)
    _check_jpeg(whole, photo, told)
    if told:
        warn(f"damaged JPEG: {told}")
    return _turn(photo, stored_orientation(whole))


def _damaged_jpeg(data: bytes, width: int, height: int, reduction: int) -> np.ndarray:
    try:
        return _turbo(jpeg_without_extras(data), width, height, reduction, strict=False)
    except ValueError as error:
        raise ImageError(f"truncated or damaged JPEG: {error}") from None


def _check_jpeg(data: bytes, photo: np.ndarray, told: str) -> None:
    """:raises ImageError: part of the picture is missing. libjpeg ``told`` something about it, or nothing."""
    cut = "premature" in told.lower()
    if cut and (missing := missing_share(photo)) > MOST_MISSING:
        raise ImageError(f"truncated JPEG: the lower {missing:.0%} of the picture is missing ({told})")
    if is_progressive(data) and is_blur(jpeg_without_extras(data), cut=cut):
        raise ImageError("truncated JPEG: only a blur of the picture is there")


def _turbo(data: bytes, width: int, height: int, reduction: int, *, strict: bool) -> np.ndarray:
    """RGB uint8 [height, width, 3] of a JPEG. :raises ValueError: libjpeg's words; its warnings too if ``strict``."""
    # The buffer bounds what is decoded, whatever libjpeg finds that our check of the header did not.
    buffer = np.empty((height, width, 3), np.uint8)
    size = {"min_height": height, "min_width": width, "min_factor": reduction} if reduction > 1 else {}
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB", buffer=buffer, strict=strict, **size))


def _decode_any(data: bytes, kind: str) -> np.ndarray:
    """Any format but JPEG and HEIC: alpha and 16 bits survive only an unchanged decode, which leaves EXIF to us."""
    try:
        photo, types, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        photo = None
    if photo is None:
        lacking = kind == "AVIF" and not cv2.haveImageWriter(".avif")  # it writes what it reads
        hint = "; this build of OpenCV lacks AVIF" if lacking else ""
        raise ImageError(f"truncated or damaged {kind}: it cannot be decoded{hint}")
    rgb = _to_rgb(photo, kind)
    if kind == "TIFF":  # its decoder has turned it already
        return rgb
    if kind == "AVIF":
        return turned(rgb, data)
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
    with needed_for("a HEIC photo", ImageError):
        import pillow_heif
    try:
        picture: Any = pillow_heif.read_heif(data)
        pixels = np.asarray(picture)
    except Exception as error:  # libheif's errors share no base class
        message = " ".join(str(error).split())  # libheif ends it with a new line
        raise ImageError(f"truncated or damaged HEIC: {message}") from error
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if pixels.shape[2] == 4:
        premultiplied = picture.mode == "RGBa"
        return _by_strips(
            pixels, lambda strip: _on_white(cv2.cvtColor(strip, cv2.COLOR_RGBA2BGRA), premultiplied=premultiplied)
        )
    return np.array(pixels)  # a copy: older versions free their own pixels with the picture
