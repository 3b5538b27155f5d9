"""Encode pixels as small image files, without metadata, or as a data URI for a page."""

from __future__ import annotations

import base64

import cv2
import numpy as np

__all__ = ["data_uri", "encode_jpeg", "encode_png", "limit_longer_side", "scale_down"]


def limit_longer_side(photo: np.ndarray, longest: int) -> np.ndarray:
    """Scale an RGB uint8 photo [H, W, 3] down to at most ``longest`` pixels on its longer side."""
    return scale_down(photo, longest / max(photo.shape[:2]))


def scale_down(photo: np.ndarray, scale: float) -> np.ndarray:
    """Scale an RGB uint8 photo [H, W, 3] down by a factor; unchanged if ``scale`` is at least 1."""
    if scale >= 1:
        return photo
    height, width = photo.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def encode_jpeg(photo: np.ndarray, quality: int = 82) -> bytes:
    """RGB uint8 [H, W, 3] as JPEG; ``quality`` is 0 to 100."""
    return _encode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(photo: np.ndarray) -> bytes:
    """RGB uint8 [H, W, 3] as PNG."""
    return _encode(".png", photo, [])


def data_uri(photo: np.ndarray, longest: int) -> str:
    """A JPEG of at most ``longest`` pixels a side, as the ``src`` of an image."""
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(limit_longer_side(photo, longest))).decode()}"


def _encode(suffix: str, photo: np.ndarray, options: list[int]) -> bytes:
    _, encoded = cv2.imencode(suffix, cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()
