"""Labels that contradict each other: two spellings of one class, or one photo listed under two labels or splits."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hierpets.data.records import PhotoRecord
from hierpets.errors import DataError
from hierpets.taxonomy import Leaf

__all__ = ["ListedPhoto", "check_listed", "find_misspelled", "folded", "raise_problems", "unrepeated"]

MOST_PROBLEMS = 20

_log = logging.getLogger(__name__)


class ListedPhoto(NamedTuple):
    """A photo and the ``FILE:LINE`` that lists it."""

    where: str
    record: PhotoRecord


def find_misspelled(labels: Iterable[tuple[str, Leaf]]) -> Iterator[str]:
    """A line for each class that is written in two ways, such as ``Cat`` beside ``cat``.

    Names that differ only in case, spaces, hyphens and underscores are taken for one class. ``labels`` are
    ``(where, label)``.
    """
    known: dict[tuple[str, ...], dict[str, str]] = {}
    for where, (species, breed) in labels:
        for key, name in (((folded(species),), species), ((folded(species), folded(breed or "")), breed)):
            spellings = known.setdefault(key, {})
            if name is not None and spellings and name not in spellings:
                other, place = next(iter(spellings.items()))
                at = f" ({place})" if place != where else ""
                yield f"{where}: {name!r} and {other!r}{at} differ only in case or spelling; use one name for one class"
            if name is not None:
                spellings.setdefault(name, where)


def check_listed(photos: Iterable[ListedPhoto]) -> Iterator[str]:
    """A line for each class that is written in two ways, and for each photo with two labels or splits."""
    listed = list(photos)
    yield from find_misspelled((where, record.label) for where, record in listed)
    first: dict[str, ListedPhoto] = {}
    for where, record in listed:
        known = first.setdefault(_same_file(record.path), ListedPhoto(where, record))
        if (record.label, record.split) != (known.record.label, known.record.split):
            yield f"{where}: {record.path} is {_described(record)}, but {_described(known.record)} at {known.where}"


def raise_problems(source: str | os.PathLike[str], problems: Iterable[str]) -> None:
    """:raises DataError: there are problems; with the first of them, a line each, and how many more."""
    lines = list(problems)
    more = len(lines) - MOST_PROBLEMS
    if lines:
        raise DataError("\n".join(lines[:MOST_PROBLEMS] + ([f"{source}: and {more} more"] if more > 0 else [])))


def unrepeated(photos: Iterable[ListedPhoto]) -> list[PhotoRecord]:
    """Each photo once. Repeats are skipped with a warning."""
    first: dict[str, PhotoRecord] = {}
    repeats = []
    for where, record in photos:
        path = _same_file(record.path)
        if path in first:
            repeats.append(where)
        first.setdefault(path, record)
    if repeats:
        more = f" and {len(repeats) - 1} more" if len(repeats) > 1 else ""
        _log.warning("%s: skipped: the photo is already listed%s", repeats[0], more)
    return list(first.values())


def _same_file(path: str) -> str:
    """Equal for all spellings of a path; Windows tells neither case nor slashes apart."""
    return os.path.normcase(os.path.normpath(path))


def folded(name: str) -> str:
    """Equal for all spellings of a name that count as one."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def _described(record: PhotoRecord) -> str:
    return f"{record.label} in {record.split}" if record.split else str(record.label)
