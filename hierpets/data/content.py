"""The digest of a photo's content: the same wherever it lies and whatever it is called."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from hierpets.data.addresses import parse_address, read_address
from hierpets.data.photos import DEFAULT_LIMITS
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
    if address := parse_address(path):
        with suppress(ImageError):
            return read_address(address, DEFAULT_LIMITS.max_bytes)[1]
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return b""
