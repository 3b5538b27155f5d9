"""Photos that a model was fitted to are no evidence of how good it is."""

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
"""The digest of the photo at a path: ``content_key``, which reads the photo, or one that remembers."""


def without_seen(index: PhotoIndex, bundle: str | os.PathLike[str] | None, *, digest_of: DigestOf) -> PhotoIndex | None:
    """The photos that a bundle was not fitted to, whatever they are called; None where it does not say."""
    seen = SeenPhotos.read(Path(bundle)) if bundle else None
    return index.where(lambda record: not seen.holds(digest_of(record.path))) if seen is not None else None


def check_seen(
    index: PhotoIndex, bundle: Path | None, *, keep: bool, digest_of: DigestOf
) -> tuple[PhotoIndex, SeenMetrics | None]:
    """The photos to measure, and how many were seen; None where the bundle does not say.

    :raises DataError: the model was fitted to every one of them, and they are not to be kept.
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
