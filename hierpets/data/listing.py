"""List the photos that a command line names: files, folders, sources of readers, standard input; one by one."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import TypeVar

from hierpets.data.addresses import is_on_disk
from hierpets.data.labeled.sources import list_source
from hierpets.errors import ConfigError
from hierpets.files import PHOTO_SUFFIXES, is_folder, is_photo
from hierpets.plugin.reading import is_uri, refuse_web, walk_files
from hierpets.registry.loading import Registry

__all__ = [
    "STANDARD_INPUT",
    "count_photos",
    "evenly",
    "find_photos",
    "list_photos",
]

STANDARD_INPUT = "-"
T = TypeVar("T")


def evenly(photos: Sequence[T], limit: int) -> list[T]:
    """Select at most so many, evenly spaced, since photos are ordered by class."""
    if len(photos) <= limit:
        return list(photos)
    return [photos[n * len(photos) // limit] for n in range(limit)]


def list_photos(paths: Sequence[str], lines: Iterable[str], registry: Registry | None = None) -> Iterator[str]:
    """Yield the photos of folders and patterns in the order of their names, the ``lines`` for ``-``, the photos that a
    reader of ``registry`` finds, and any other path unchanged. All paths are checked before the first photo is yielded.

    :raises ConfigError: a folder, a pattern or a URI without photos, an address of the web, or an empty path.
    """
    return chain.from_iterable([_opened(path, lines, registry) for path in paths])


def _opened(path: str, lines: Iterable[str], registry: Registry | None) -> Iterator[str]:
    """Open one path, and check that it has photos; nothing is listed twice for that."""
    if path == STANDARD_INPUT:
        return (line for line in map(str.strip, lines) if line)
    if not path:  # such as an unset shell variable; it would mean the current folder
        raise ConfigError("expected the path of a photo or a folder, got an empty one")
    refuse_web(path)
    if _is_pattern(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207  it may be absolute, and Path.glob refuses it
        if not matches:
            raise ConfigError(f"{path}: no file matches this pattern")
        return chain.from_iterable(_photos(match, registry) for match in matches)
    photos = _photos(path, registry)
    if not is_folder(path) and not is_uri(path):
        return photos
    first = next(photos, path)
    if first == path:
        _refuse_empty(path)
    return chain((first,), photos)


def _photos(path: str, registry: Registry | None) -> Iterator[str]:
    """Yield the photos in a path, or the path itself. Subfolders that cannot be listed are yielded at the end, so that
    each gets a record that says so.
    """
    found = list_source(path, registry) if registry is not None else None
    if found is not None:
        yield from found
    elif is_folder(path):
        unlisted: list[str] = []
        yield from walk_files(path, *PHOTO_SUFFIXES, on_error=lambda error: unlisted.append(str(error.filename)))
        yield from unlisted
    else:
        yield path


def _refuse_empty(path: str) -> None:
    """:raises ConfigError: a folder without photos; the URI of a photo is none, nor is what cannot be listed."""
    if is_folder(path) and not os.access(path, os.R_OK | os.X_OK):
        return
    if not is_photo(PurePosixPath(path).name):
        raise ConfigError(f"{path}: no photos in this folder")


def count_photos(paths: Sequence[str], registry: Registry | None = None) -> int | None:
    """Count what :func:`list_photos` yields; None if standard input is among the paths."""
    if STANDARD_INPUT in paths:
        return None
    return sum(1 for _ in list_photos(paths, (), registry))


def _is_pattern(path: str) -> bool:
    """Whether a path is a pattern that no shell has expanded, and not a file of that name."""
    return glob.has_magic(path) and is_on_disk(path) and not os.path.lexists(path)


def find_photos(folder: str | os.PathLike[str]) -> list[str]:
    """List every photo below a folder, in the order of :func:`~hierpets.plugin.reading.walk_files`."""
    return list(walk_files(folder, *PHOTO_SUFFIXES))
