"""Leaves out photos that a model was fitted to: they do not show how good it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hierpets.bundle.seen import SeenPhotos
from hierpets.data.records import PhotoIndex
from hierpets.errors import DataError
from hierpets.evaluation.metrics.schema import SeenMetrics

__all__ = ["DigestOf", "check_seen", "without_seen"]

DigestOf = Callable[[str], str]
"""Returns the digest of the photo at a path: ``content_key``, which reads the photo, or a cached version of it."""


def without_seen(index: PhotoIndex, bundle: str | os.PathLike[str] | None, *, digest_of: DigestOf) -> PhotoIndex | None:
    """Select the photos that a bundle was not fitted to, by content; None if the bundle does not list what it saw."""
    seen = SeenPhotos.read(Path(bundle)) if bundle else None
    return index.where(lambda record: not seen.holds(digest_of(record.path))) if seen is not None else None


def check_seen(
    index: PhotoIndex, bundle: Path | None, *, keep: bool, digest_of: DigestOf
) -> tuple[PhotoIndex, SeenMetrics | None]:
    """Return the photos to evaluate, and the number of seen ones, or None if the bundle does not list what it saw.

    :raises DataError: the model was fitted to all of them, and ``keep`` is false.
    """
    new = without_seen(index, bundle, digest_of=digest_of)
    if new is None:
        return index, None
    counted = SeenMetrics(n=len(index) - len(new), left_out=not keep)
    if keep:
        return index, counted
    if not len(new):
        raise DataError(
            f"the model was fitted to every one of the {len(index):,} photos, which are no evidence; measure others, "
            "such as those of --split val, or these all the same with --keep-seen"
        )
    return new, counted
