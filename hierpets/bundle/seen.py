"""``seen.bin``: which photos a bundle was fitted to, as eight bytes of each photo's digest.

The entries of the training photos come first, followed by those of each growth; each group is sorted. This order tells
photos that were seen before a class was forgotten from those seen after it. A growth adds a second entry for each photo
together with its label: a photo learned under a label that was forgotten can then be learned under another.

The entries suffice to recognize a photo, but reveal nothing of what it shows. The file is not part of the bundle's
identity, as it changes no prediction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hierpets.bundle.layout import SEEN
from hierpets.errors import BundleError, reason_of

__all__ = ["SeenPhotos", "labeled_digest", "read_seen", "seen_count"]

SIZE = 8  # bytes per entry: with a million entries, one in 18 trillion other photos is mistaken for one of them


class SeenPhotos(frozenset[bytes]):
    """A set of shortened digests of photos."""

    @classmethod
    def of(cls, digests: Iterable[str]) -> SeenPhotos:
        """Shorten digests in hexadecimal."""
        return cls(map(_short, digests))

    @classmethod
    def read(cls, bundle: Path, *, after: int = 0) -> SeenPhotos | None:
        """The entries of a bundle without the first ``after``; None if it has no such file.

        :raises BundleError: the file is damaged or cannot be read.
        """
        content = read_seen(bundle)
        if content is None:
            return None
        return cls(content[start : start + SIZE] for start in range(after * SIZE, len(content), SIZE))

    def pack(self) -> bytes:
        """The sorted entries, as they are stored in the file."""
        return b"".join(sorted(self))

    def holds(self, digest: str) -> bool:
        """Whether this photo was seen."""
        return _short(digest) in self


def read_seen(bundle: Path) -> bytes | None:
    """The content of the file; None if there is no file.

    :raises BundleError: the file is damaged or cannot be read.
    """
    path = bundle / SEEN
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {reason_of(error)}") from error
    if len(content) % SIZE:
        raise BundleError(f"{path}: expected {SIZE} bytes a photo, found {len(content)}; copy the bundle again")
    return content


def seen_count(bundle: Path) -> int:
    """The number of entries in the file; 0 if there is no file."""
    return len(read_seen(bundle) or b"") // SIZE


def labeled_digest(digest: str, label: str) -> str:
    """The digest of a photo together with its label."""
    return hashlib.sha256(f"{digest} {label}".encode()).hexdigest()


def _short(digest: str) -> bytes:
    return bytes.fromhex(digest)[:SIZE]
