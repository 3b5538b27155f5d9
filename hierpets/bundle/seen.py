"""Which photos a bundle was fitted to: ``seen.bin``, eight bytes of each photo's digest, sorted, and nothing else.

Enough to tell that a photo was seen, and far too little to tell what it shows. The file is no part of the bundle's
identity: it changes no prediction.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hierpets.bundle.layout import SEEN
from hierpets.errors import BundleError, reason_of

__all__ = ["SeenPhotos"]

SIZE = 8  # bytes: where a million photos were seen, one in 18 trillion others is taken for one of them


class SeenPhotos(frozenset[bytes]):
    """The shortened digests of photos."""

    @classmethod
    def of(cls, digests: Iterable[str]) -> SeenPhotos:
        """From digests in hexadecimal."""
        return cls(map(_short, digests))

    @classmethod
    def read(cls, bundle: Path) -> SeenPhotos | None:
        """Those of a bundle; None where it does not say.

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
        return cls(content[start : start + SIZE] for start in range(0, len(content), SIZE))

    def pack(self) -> bytes:
        """The content of the file: the same for the same photos, in whatever order they came."""
        return b"".join(sorted(self))

    def holds(self, digest: str) -> bool:
        """Whether this photo was seen."""
        return _short(digest) in self


def _short(digest: str) -> bytes:
    return bytes.fromhex(digest)[:SIZE]
