"""Which photos a bundle was fitted to: ``seen.bin``, eight bytes of each photo's digest, and nothing else.

Those that it was trained on are sorted, and so are those of each growth, which follow: what was seen after a class was
forgotten can be told from what was seen before. A growth notes each photo a second time together with its label, so
that what was learned under a label that was forgotten can be learned under another.

Enough to tell that a photo was seen, and far too little to tell what it shows. The file is no part of the bundle's
identity: it changes no prediction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hierpets.bundle.layout import SEEN
from hierpets.errors import BundleError, reason_of

__all__ = ["SeenPhotos", "labeled_digest", "read_seen", "seen_count"]

SIZE = 8  # bytes: where a million photos were seen, one in 18 trillion others is taken for one of them


class SeenPhotos(frozenset[bytes]):
    """The shortened digests of photos."""

    @classmethod
    def of(cls, digests: Iterable[str]) -> SeenPhotos:
        """From digests in hexadecimal."""
        return cls(map(_short, digests))

    @classmethod
    def read(cls, bundle: Path, *, after: int = 0) -> SeenPhotos | None:
        """Those of a bundle, but for so many that came first; None where it does not say.

        :raises BundleError: the file is damaged or cannot be read.
        """
        content = read_seen(bundle)
        if content is None:
            return None
        return cls(content[start : start + SIZE] for start in range(after * SIZE, len(content), SIZE))

    def pack(self) -> bytes:
        """The content of the file: the same for the same photos, in whatever order they came."""
        return b"".join(sorted(self))

    def holds(self, digest: str) -> bool:
        """Whether this photo was seen."""
        return _short(digest) in self


def read_seen(bundle: Path) -> bytes | None:
    """The content of the file; None where there is none.

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
    """How many entries the file has; 0 where there is none."""
    return len(read_seen(bundle) or b"") // SIZE


def labeled_digest(digest: str, label: str) -> str:
    """The digest of a photo together with its label."""
    return hashlib.sha256(f"{digest} {label}".encode()).hexdigest()


def _short(digest: str) -> bytes:
    return bytes.fromhex(digest)[:SIZE]
