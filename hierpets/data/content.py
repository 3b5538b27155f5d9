"""The digest of a photo's content, which does not depend on its path."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from hierpets.data.photos import read_bytes
from hierpets.errors import ImageError

__all__ = ["content_key", "digest", "read_content"]


def content_key(path: str) -> str:
    """Hash a photo's bytes, or its path if they cannot be read, as of a synthetic or missing photo."""
    return digest(read_content(path), path)


def digest(content: bytes, path: str) -> str:
    """Compute :func:`content_key` of a photo that was read already."""
    return hashlib.sha256(content or path.encode("utf-8", "surrogateescape")).hexdigest()


def read_content(path: str) -> bytes:
    """Read a photo's bytes; empty if they cannot be read: decoding the photo will report why."""
    with suppress(ImageError):
        return read_bytes(path)
    return b""
