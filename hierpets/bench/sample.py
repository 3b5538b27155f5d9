"""Chooses the photos to measure on: some of a folder, or synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from hierpets.data.listing import evenly, find_photos
from hierpets.data.photos import read_photo
from hierpets.errors import DataError, ImageError

__all__ = ["PhotoSample", "choose_photos"]

SIDE = 500  # pixels; the longer side of most photos in Oxford-IIIT Pet


@dataclass(frozen=True)
class PhotoSample:
    """The paths of photos, and a description of them."""

    paths: tuple[str, ...]
    what: str


def choose_photos(data: str | None, count: int, *, scratch: Path) -> PhotoSample:
    """Choose at most ``count`` readable photos, evenly from all below the folder ``data``.

    Without ``data``, use images of the demo set, written to ``scratch`` as JPEGs so that decoding is measured too.

    :raises DataError: there are no readable photos.
    """
    if data is None:
        return PhotoSample(_write_synthetic(count, scratch), f"{count} synthetic JPEG images of {SIDE} x {SIDE} pixels")
    paths = find_photos(data)
    chosen = tuple(filter(_readable, evenly(paths, count)))
    if not chosen:
        raise DataError(f"{data}: {'none of its photos can be read' if paths else 'no photos in this folder'}")
    return PhotoSample(chosen, f"{len(chosen)} of the {len(paths)} photos in {data}")


def _readable(path: str) -> bool:
    try:
        read_photo(path)
    except ImageError:
        return False
    return True


def _write_synthetic(count: int, folder: Path) -> tuple[str, ...]:
    import cv2

    from hierpets.data.demo import demo_index, render
    from hierpets.thumbnails import encode_jpeg

    paths = []
    for n, uri in enumerate(islice(cycle(demo_index().paths), count)):
        photo = cv2.resize(render(uri), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        path = folder / f"{n}.jpg"
        path.write_bytes(encode_jpeg(photo, 90))
        paths.append(str(path))
    return tuple(paths)
