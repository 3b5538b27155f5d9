"""The digest of a photo's content: the same wherever it lies and whatever it is called."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from hierpets.data.photos import read_bytes
from hierpets.errors import ImageError

__all__ = ["content_key", "digest", "read_content"]


def content_key(path: str) -> str:
    """A hash of a photo's bytes; of its name where it has none that can be read, because it is synthetic or missing."""
    return digest(read_content(path), path)


def digest(content: bytes, path: str) -> str:
    """:func:`content_key` of a photo that was read already."""
    return hashlib.sha256(content or path.encode("utf-8", "surrogateescape")).hexdigest()


def read_content(path: str) -> bytes:
    """A photo's bytes; none where they cannot be had: reading the photo will say why."""
    with suppress(ImageError):
        return read_bytes(path)
    return b""
