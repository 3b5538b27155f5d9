"""Photos in folders: ``SPECIES/BREED/photo.jpg``, ``SPECIES/photo.jpg``, and either under train/, val/, test/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hierpets.data.records import SPLITS, PhotoRecord
from hierpets.errors import DataError
from hierpets.taxonomy import Leaf

__all__ = ["PHOTO_SUFFIXES", "find_photos", "read_folders", "walk_photos"]

PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"]
)
SPLIT_NAMES = {**{name: name for name in SPLITS}, "valid": "val", "validation": "val"}
EXPECTED = "expected SPECIES/BREED/photo.jpg (or SPECIES/photo.jpg where the breed is not known)"


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
            yield from (os.path.join(here, name) for name in sorted(files) if _is_photo_name(name))  # noqa: PTH118
        visited.add(real)


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def read_folders(root: Path) -> tuple[list[PhotoRecord], list[Leaf]]:
    """The photos, and the classes that have a folder, be it empty."""
    photos, folders = _listing(root)
    if photos:
        raise DataError(f"{root}: {len(photos)} photos lie directly in the folder; {EXPECTED}")
    if not folders:
        raise DataError(f"{root}: no folder with photos in it; {EXPECTED}")
    splits = [f for f in folders if f.name.lower() in SPLIT_NAMES]
    if splits and len(splits) < len(folders):
        odd = ", ".join(sorted(f.name for f in folders if f not in splits))
        raise DataError(f"{root}: {odd} beside {', '.join(f.name for f in splits)}; expected only train, val, test")
    if not splits:
        return _read_tree(root, None)
    parts = [_read_tree(folder, SPLIT_NAMES[folder.name.lower()]) for folder in splits]
    return [r for records, _ in parts for r in records], [leaf for _, leaves in parts for leaf in leaves]


def _read_tree(root: Path, split: str | None) -> tuple[list[PhotoRecord], list[Leaf]]:
    stray, species_folders = _listing(root)
    if stray:
        raise DataError(f"{root}: {len(stray)} photos lie directly in the folder; {EXPECTED}")
    records, leaves = [], []
    for species in species_folders:
        photos, breed_folders = _listing(species)
        records += [PhotoRecord(str(photo), species.name, None, split) for photo in photos]
        leaves.append(Leaf(species.name, None))
        for breed in breed_folders:
            records += [PhotoRecord(str(photo), species.name, breed.name, split) for photo in _leaf_photos(breed)]
            leaves.append(Leaf(species.name, breed.name))
    if not records:
        raise DataError(f"{root}: no photo in {len(leaves)} folders; {EXPECTED}")
    return records, leaves


def _leaf_photos(breed: Path) -> list[Path]:
    photos, deeper = _listing(breed)
    if too_deep := next((folder for folder in deeper if _listing(folder)[0]), None):
        raise DataError(f"{too_deep}: photos one folder too deep; {EXPECTED}")
    return photos


def _listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """Photos and folders directly inside, each sorted by name; hidden ones and other files left out."""
    entries = sorted(_visible(folder))
    folders = [entry for entry in entries if entry.is_dir()]
    return [e for e in entries if _is_photo_name(e.name) and not e.is_dir()], folders


def _visible(folder: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error


def _is_photo_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122
