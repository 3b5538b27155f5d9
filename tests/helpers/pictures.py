"""Pictures as files, written by Pillow."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

__all__ = ["encode"]


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A file of that format."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
