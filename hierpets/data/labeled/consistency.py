"""Check labels: invalid names, two spellings of one class, one photo under two labels or splits."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from hierpets.data.records import PhotoRecord
from hierpets.errors import DataError
from hierpets.messages.breeds import cache_short_names
from hierpets.plugin.reading import SPLIT_NAMES
from hierpets.taxonomy import Leaf, label_problem

__all__ = [
    "NO_CLASS",
    "ListedPhoto",
    "check_labels",
    "check_listed",
    "find_contradictions",
    "find_misspelled",
    "folded",
    "is_number",
    "raise_problems",
    "unrepeated",
]

MAX_PROBLEMS = 20
SPLITS_BY_NAME = {*SPLIT_NAMES, "training", "testing"}
NO_CLASS = "unknown"  # the answer for photos of no known pet
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")

_log = logging.getLogger(__name__)


class ListedPhoto(NamedTuple):
    """A photo and the ``FILE:LINE`` that lists it."""

    where: str
    record: PhotoRecord


def is_number(name: str) -> bool:
    """Whether the name of a class is a number, which does not say what it stands for."""
    return NUMBER.fullmatch(name) is not None


def check_labels(labels: Iterable[tuple[str, Leaf]]) -> Iterator[str]:
    """Yield a line for each invalid name, and for each class that is spelled in two ways.

    ``labels`` are ``(where, label)``.
    """
    given = list(labels)
    names = {name: where for where, label in reversed(given) for name in label if name is not None}
    for name, where in sorted(names.items()):
        if is_number(name):
            yield f"{where}: class {name} is a number, not a name; write what it stands for"
        elif name.lower() in SPLITS_BY_NAME:
            yield f"{where}: class {name!r} is called like a split; folders train, val and test lie above the species"
        elif name.lower() == NO_CLASS:
            yield (
                f"{where}: class {name!r} is called like the answer to photos of no known pet; photos of a breed that "
                "nobody knows lie in the folder of their species"
            )
        elif problem := label_problem(name):
            yield f"{where}: {problem}"
    yield from find_misspelled(given)


def find_misspelled(labels: Iterable[tuple[str, Leaf]]) -> Iterator[str]:
    """Yield a line for each class that is spelled in two ways, such as ``Cat`` and ``cat``.

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
    """Yield the lines of :func:`check_labels`, a line for each photo with two labels, splits or individuals, and
    one for each individual in two splits.
    """
    listed = list(photos)
    yield from check_labels((where, record.label) for where, record in listed)
    first: dict[str, ListedPhoto] = {}
    for where, record in listed:
        known = first.setdefault(_same_file(record.path), ListedPhoto(where, record))
        if replace(record, path=known.record.path) != known.record:
            yield f"{where}: {record.path} is {_described(record)}, but {_described(known.record)} at {known.where}"
    yield from _torn_individuals(listed)


def _torn_individuals(listed: Iterable[ListedPhoto]) -> Iterator[str]:
    first: dict[object, ListedPhoto] = {}
    for where, record in listed:
        if record.individual is not None and record.split is not None:
            known = first.setdefault(record.of_individual, ListedPhoto(where, record))
            if record.split != known.record.split:
                yield (
                    f"{where}: individual {record.individual!r} is in {record.split}, but in {known.record.split} at "
                    f"{known.where}; its photos belong on one side"
                )


def find_contradictions(
    records: Iterable[PhotoRecord], digests: Iterable[str]
) -> list[tuple[PhotoRecord, PhotoRecord]]:
    """Return pairs of photos with identical files and contradictory labels: the first two of each content."""
    known: dict[str, PhotoRecord] = {}
    found: dict[str, tuple[PhotoRecord, PhotoRecord]] = {}
    for record, digest in zip(records, digests, strict=True):
        first = known.setdefault(digest, record)
        breeds = {record.breed, first.breed} - {None}
        if record.species != first.species or len(breeds) > 1:
            found.setdefault(digest, (first, record))
        elif first.breed is None:
            known[digest] = record  # with a more specific label
    return list(found.values())


def raise_problems(source: str | os.PathLike[str], problems: Iterable[str]) -> None:
    """:raises DataError: there are problems; it lists the first of them, a line each, and the number of others."""
    lines = list(problems)
    more = len(lines) - MAX_PROBLEMS
    if lines:
        raise DataError("\n".join(lines[:MAX_PROBLEMS] + ([f"{source}: and {more} more"] if more > 0 else [])))


def unrepeated(photos: Iterable[ListedPhoto]) -> list[PhotoRecord]:
    """Return each photo once; repeats are skipped with a warning."""
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
    """Return a key that is equal for all spellings of a path; Windows ignores case and the kind of slashes."""
    return os.path.normcase(os.path.normpath(path))


@cache_short_names  # many photos share few names
def folded(name: str) -> str:
    """Return a key that is equal for all spellings of a name that count as the same."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def _described(record: PhotoRecord) -> str:
    split = f" in {record.split}" if record.split else ""
    return f"{record.label}{split}" + (f" of {record.individual!r}" if record.individual else "")
