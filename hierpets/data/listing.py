"""The photos that a command line names: files, folders, and paths on standard input, never all held at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hierpets.data.folders import walk_photos
from hierpets.errors import ConfigError

__all__ = ["check_folders", "count_photos", "list_photos"]

STANDARD_INPUT = "-"


def list_photos(paths: Sequence[str], lines: Iterable[str]) -> Iterator[str]:
    """Photos of folders in the order of their names, those of ``lines`` for ``-``, all else as it is."""
    for path in paths:
        if path == STANDARD_INPUT:
            yield from (line for line in map(str.strip, lines) if line)
        elif Path(path).is_dir():
            yield from walk_photos(path)
        else:
            yield path


def check_folders(paths: Sequence[str]) -> None:
    """Look for a photo in each folder before the first is answered.

    :raises ConfigError: a folder has none.
    """
    for path in paths:
        if path != STANDARD_INPUT and Path(path).is_dir() and next(walk_photos(path), None) is None:
            raise ConfigError(f"{path}: no photos in this folder")


def count_photos(paths: Sequence[str]) -> int | None:
    """How many :func:`list_photos` gives; None where standard input is among them."""
    if STANDARD_INPUT in paths:
        return None
    return sum(1 for _ in list_photos(paths, ()))
