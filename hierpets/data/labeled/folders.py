"""Photos in folders: ``SPECIES/BREED/photo.jpg``, ``SPECIES/photo.jpg``, and either under train/, val/, test/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hierpets.data.labeled.consistency import check_labels, raise_problems
from hierpets.data.records import PhotoRecord
from hierpets.errors import DataError, reason_of
from hierpets.files import is_folder_entry, is_photo
from hierpets.plugin.reading import PHOTO_SUFFIXES, SPLIT_NAMES, walk_files
from hierpets.taxonomy import Leaf

__all__ = ["read_folders"]

EXPECTED = "expected SPECIES/BREED/photo.jpg (or SPECIES/photo.jpg where the breed is not known)"


def read_folders(root: Path) -> tuple[list[PhotoRecord], list[Leaf]]:
    """Read the photos, and the classes that have a folder, even an empty one.

    :raises DataError: another layout, a class called by a number, or one with two spellings.
    """
    stray, folders = _listing(root)
    _refuse_stray(root, stray)
    if not folders:
        raise DataError(f"{root}: no folder with photos in it; {EXPECTED}")
    splits = [f for f in folders if f.name.lower() in SPLIT_NAMES]
    if splits and len(splits) < len(folders):
        raise DataError(f"{root}: {_unknown_splits(folders, splits)}")
    parts = [_read_tree(folder, SPLIT_NAMES[folder.name.lower()]) for folder in splits] or [_read_tree(root, None)]
    leaves = [leaf for _, part in parts for leaf in part]
    raise_problems(root, check_labels((str(root), leaf) for leaf in leaves))
    return [record for records, _ in parts for record in records], leaves


def _unknown_splits(folders: list[Path], splits: list[Path]) -> str:
    unknown = [repr(folder.name) for folder in folders if folder not in splits]
    known = ", ".join(repr(folder.name) for folder in splits)
    word = "folder" if len(unknown) == 1 else "folders"
    return f"unknown split {word} {', '.join(unknown)} beside {known}; rename to train, val, test"


def _read_tree(root: Path, split: str | None) -> tuple[list[PhotoRecord], list[Leaf]]:
    stray, species_folders = _listing(root)
    _refuse_stray(root, stray)
    records, leaves = [], []
    for species in species_folders:
        photos, breed_folders = _listing(species)
        records += [PhotoRecord(photo, species.name, None, split) for photo in photos]
        leaves.append(Leaf(species.name, None))
        for breed in breed_folders:
            records += [PhotoRecord(photo, species.name, breed.name, split) for photo in _leaf_photos(breed)]
            leaves.append(Leaf(species.name, breed.name))
    if not records:
        raise DataError(f"{root}: no photo in {len(leaves)} folders; {EXPECTED}")
    return records, leaves


def _refuse_stray(root: Path, photos: list[str]) -> None:
    if photos:
        count = "1 photo lies" if len(photos) == 1 else f"{len(photos)} photos lie"
        raise DataError(f"{root}: {count} directly in the folder; {EXPECTED}")


def _leaf_photos(breed: Path) -> list[str]:
    photos, deeper = _listing(breed)
    if nested := next((photo for folder in deeper for photo in walk_files(folder, *PHOTO_SUFFIXES)), None):
        raise DataError(f"{Path(nested).parent}: photos nested too deep; {EXPECTED}")
    return photos


def _listing(folder: Path) -> tuple[list[str], list[Path]]:
    """List the photos and folders directly inside, each sorted by name, without hidden ones and other files."""
    photos, folders = [], []
    for entry in _visible(folder):
        if is_folder_entry(entry):
            folders.append(Path(entry.path))
        elif is_photo(entry.name):
            photos.append(entry.path)
    return sorted(photos), sorted(folders)


def _visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {reason_of(error)}") from error
