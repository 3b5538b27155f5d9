"""Find photos with the plugins of kind ``reader``, and make labels of what these state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from hierpets.data.addresses import file_of, is_demo
from hierpets.data.labeled.consistency import ListedPhoto, check_listed, folded, is_number, raise_problems, unrepeated
from hierpets.data.labeled.tables import list_csv
from hierpets.data.labeled.unread import find_unread
from hierpets.data.records import SPLITS, PhotoRecord
from hierpets.errors import DataError, did_you_mean
from hierpets.files import PHOTO_SUFFIXES
from hierpets.plugin import SourcePhoto
from hierpets.plugin.reading import SPLIT_NAMES, is_folder, suffix_of
from hierpets.registry.loading import Registry
from hierpets.registry.plugin import BUILTIN
from hierpets.taxonomy import Leaf

__all__ = ["Found", "list_source", "read_records", "read_source"]

EXPECTED = "expected a species (and a breed), or a label SPECIES/BREED"


class Found(NamedTuple):
    """The name of the reader that knows a source, an iterator over its photos, and whether to look for other files in
    the folder: a user's reader decides itself what belongs to a source.
    """

    reader: str
    photos: Iterator[SourcePhoto]
    is_builtin: bool


def read_source(source: str, registry: Registry) -> Found | None:
    """Find a reader that knows ``source`` and return its photos; None if there is none.

    The readers of the user are asked first, the built-in ones last. A photo's own path is never asked about.

    :raises DataError: what is wrong with the data, in one line.
    :raises PluginError: a reader fails.
    """
    if suffix_of(source) in PHOTO_SUFFIXES:
        return None
    for reader in reversed(registry.of_kind("reader")):
        photos = reader.call(source)
        first = list(islice(photos, 1))
        if first:
            return Found(reader.name, chain(first, photos), reader.source == BUILTIN)
    return None


def list_source(source: str, registry: Registry) -> Iterator[str] | None:
    """Yield the paths of a source's photos, then of other files in its folder, such as an archive that its reader did
    not read: its record says so. None for a photo, or a folder of photos.
    """
    if is_demo(source):
        from hierpets.data.demo import demo_index

        return iter(demo_index().paths)
    if source.lower().endswith(".csv") and Path(source).is_file():
        return list_csv(Path(source))
    found = read_source(source, registry)
    if found is None:
        return None
    return _all_paths(source, found.photos) if found.is_builtin else (photo.path for photo in found.photos)


def _all_paths(source: str, photos: Iterable[SourcePhoto]) -> Iterator[str]:
    """Yield the paths of photos, then other files in the folder. Names stay in memory, except of an object store."""
    read, is_local = set(), is_folder(source)
    for photo in photos:
        file = file_of(photo.path)
        if is_local or file != photo.path or photo.problem is not None:
            read.add(file)
        yield photo.path
    yield from find_unread(source, read)


def read_records(source: str, photos: Iterable[SourcePhoto]) -> list[PhotoRecord]:
    """Return a record of each photo with its label. A photo that is listed twice is used once, with a warning.

    :raises DataError: with a line for each photo whose class or split cannot be used, and for classes with two
        spellings.
    """
    listed: list[ListedPhoto] = []
    problems: list[str] = []
    for photo in photos:
        where = photo.where or photo.path
        try:
            listed.append(ListedPhoto(where, _record(photo)))
        except DataError as error:
            problems.append(f"{where}: {error}")
    raise_problems(source, problems or check_listed(listed))
    return unrepeated(listed)


def _record(photo: SourcePhoto) -> PhotoRecord:
    """:raises DataError: its message does not say where the photo is listed."""
    if photo.problem is not None:
        raise DataError(photo.problem)
    species, breed = _class(photo)
    split = SPLIT_NAMES.get((photo.split or "").strip().lower())
    if photo.split and split is None:
        raise DataError(f"unknown split {photo.split!r}{did_you_mean(photo.split, SPLITS)}; known: {', '.join(SPLITS)}")
    return PhotoRecord(photo.path, species, breed, split, (photo.individual or "").strip() or None)


def _class(photo: SourcePhoto) -> Leaf:
    """Combine species, breed and label.

    :raises DataError: they state no class, or two.
    """
    species, breed, label = (part and (part.strip() or None) for part in (photo.species, photo.breed, photo.label))
    if label is None or _adds_nothing(label, species, breed):
        if species is None:
            raise DataError(f"no class; {EXPECTED}")
        return Leaf(species, breed)
    said = _parsed(label)
    whole = Leaf(species or said.species, breed or said.breed)
    if any(part is not None and folded(part) != folded(own or "") for part, own in zip(said, whole, strict=True)):
        stated = "/".join(filter(None, (species, breed)))
        raise DataError(f"label {label!r} and {stated!r} are two classes; expected one: leave out the other column")
    return whole


def _adds_nothing(label: str, species: str | None, breed: str | None) -> bool:
    """Whether a label repeats the breed, or is a number of the class that other columns state."""
    return folded(label) == folded(breed or "") or (species is not None and is_number(label))


def _parsed(label: str) -> Leaf:
    species, *rest = (part.strip() for part in label.split("/"))
    if len(rest) > 1 or not species or "" in rest:
        raise DataError(f"label {label!r}; {EXPECTED}")
    return Leaf(species, rest[0] if rest else None)
