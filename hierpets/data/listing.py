"""The photos that a command line names: files, folders, and paths on standard input, never all held at once."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hierpets.errors import ConfigError, DataError

__all__ = [
    "PHOTO_SUFFIXES",
    "STANDARD_INPUT",
    "check_paths",
    "count_photos",
    "find_photos",
    "is_photo",
    "list_photos",
    "walk_photos",
]

PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"]
)
STANDARD_INPUT = "-"
DEMO_PREFIX = "demo:"
URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


def list_photos(paths: Sequence[str], lines: Iterable[str]) -> Iterator[str]:
    """Photos of folders and patterns in the order of their names, those of ``lines`` for ``-``, all else unchanged."""
    for path in paths:
        if path == STANDARD_INPUT:
            yield from (line for line in map(str.strip, lines) if line)
        elif Path(path).is_dir():
            yield from walk_photos(path)
        elif _is_pattern(path):
            yield from _matches(path)
        else:
            yield path


def check_paths(paths: Sequence[str]) -> None:
    """Look at each path before the first prediction.

    :raises ConfigError: a folder or a pattern without photos, or a URL.
    """
    for path in paths:
        if path == STANDARD_INPUT:
            continue
        if URL.match(path):
            raise ConfigError(_advice(path))
        if Path(path).is_dir() and next(walk_photos(path), None) is None:
            raise ConfigError(f"{path}: no photos in this folder")
        if _is_pattern(path) and not _matches(path):
            raise ConfigError(f"{path}: no file matches this pattern")


def count_photos(paths: Sequence[str]) -> int | None:
    """How many :func:`list_photos` gives; None where standard input is among them."""
    if STANDARD_INPUT in paths:
        return None
    return sum(1 for _ in list_photos(paths, ()))


def _is_pattern(path: str) -> bool:
    """Whether a path is a pattern that no shell has expanded; a file may be called so as well."""
    return glob.has_magic(path) and not path.startswith(DEMO_PREFIX) and not os.path.lexists(path)


def _matches(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  a pattern may be absolute, and Path.glob refuses it


def _advice(url: str) -> str:
    if url.lower().startswith(("http:", "https:")):
        return f"{url}: a URL is not read; download the photo first"
    return f"{url}: an object store is read with --cluster, such as --cluster local --out FOLDER"


def find_photos(folder: str | os.PathLike[str]) -> list[str]:
    """Every photo below a folder, as :func:`walk_photos` gives them."""
    return list(walk_photos(folder))


def walk_photos(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Every photo below a folder, by its file name's ending; hidden files and folders are left out.

    The photos of a folder come sorted, then its subfolders do. One folder's names are held at a time.

    :raises DataError: a folder that cannot be listed.
    """
    visited = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(here)
        folders[:] = [] if real in visited else sorted(f for f in folders if not f.startswith("."))
        if real not in visited:
            yield from (os.path.join(here, name) for name in sorted(files) if is_photo(name))  # noqa: PTH118
        visited.add(real)


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def is_photo(name: str) -> bool:
    """Whether a file is a photo, by its name alone; hidden ones are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122
