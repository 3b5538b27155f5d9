"""Photos from wherever a reader finds them: the plugins of kind ``reader``, and how what they say becomes a label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from hierpets.data.addresses import is_demo
from hierpets.data.consistency import ListedPhoto, check_listed, raise_problems, unrepeated
from hierpets.data.records import SPLITS, PhotoRecord
from hierpets.data.tables import read_csv
from hierpets.errors import DataError, did_you_mean
from hierpets.files import PHOTO_SUFFIXES
from hierpets.plugin import SourcePhoto
from hierpets.plugin.reading import SPLIT_NAMES, suffix_of
from hierpets.registry.loading import Registry

__all__ = ["list_source", "read_records", "read_source"]

EXPECTED = "expected a species (and a breed), or a label SPECIES/BREED"


def read_source(source: str, registry: Registry) -> Iterator[SourcePhoto] | None:
    """The photos that a reader finds in ``source``, as they come; None where no reader knows it.

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
            return chain(first, photos)
    return None


def list_source(source: str, registry: Registry) -> Iterator[str] | None:
    """The paths of the photos that a source lists; None for a photo, or a folder of photos."""
    if is_demo(source):
        from hierpets.data.demo import demo_index

        return iter(demo_index().paths)
    if source.lower().endswith(".csv") and Path(source).is_file():
        return (record.path for record in read_csv(Path(source)))
    photos = read_source(source, registry)
    return None if photos is None else (photo.path for photo in photos)


def read_records(source: str, photos: Iterable[SourcePhoto]) -> list[PhotoRecord]:
    """The labels of all photos. A photo that is listed twice is taken once, with a warning.

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
    """:raises DataError: without the place in its message."""
    species, breed = photo.species, photo.breed
    if species is None and photo.label is not None:
        species, *rest = (part.strip() for part in photo.label.split("/"))
        if len(rest) > 1 or not species or "" in rest:
            raise DataError(f"label {photo.label!r}; {EXPECTED}")
        breed = rest[0] if rest else None
    if species is None:
        raise DataError(f"no class; {EXPECTED}")
    if species.lstrip("-").isdecimal():
        raise DataError(f"class {species} is a number, not a name; {EXPECTED}")
    split = SPLIT_NAMES.get((photo.split or "").lower())
    if photo.split and split is None:
        raise DataError(f"unknown split {photo.split!r}{did_you_mean(photo.split, SPLITS)}; known: {', '.join(SPLITS)}")
    return PhotoRecord(photo.path, species, breed, split)
