"""Photos encoded anew, so that they hold pixels and no metadata."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["jpeg", "png", "shrink"]


def shrink(photo: np.ndarray, longest: int) -> np.ndarray:
    """RGB uint8 [H, W, 3] with its longer side at most ``longest``; a smaller photo as it is."""
    height, width = photo.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return photo
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def jpeg(photo: np.ndarray, quality: int = 92) -> bytes:
    """RGB uint8 [H, W, 3] as JPEG, without metadata."""
    return _encode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(photo: np.ndarray) -> bytes:
    """RGB uint8 [H, W, 3] as PNG, without metadata."""
    return _encode(".png", photo, [])


def _encode(suffix: str, photo: np.ndarray, options: list[int]) -> bytes:
    _, encoded = cv2.imencode(suffix, cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()
