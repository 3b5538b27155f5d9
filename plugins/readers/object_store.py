"""Folders ``SPECIES/BREED`` of photos in an object store, with or without train, val and test above them."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.plugin import SourcePhoto
from hierpets.plugin.reading import PHOTO_SUFFIXES, SPLIT_NAMES, is_uri, join, list_folders, walk_store


def object_store(source: str) -> Iterator[SourcePhoto]:
    """Yield the photos below a URI that pyarrow supports, such as ``s3://BUCKET/FOLDER``, with their folders as class.

    If one of the top folders is named after a split, all of them count as splits. Only one folder's names are held in
    memory at a time.

    :raises DataError: the store cannot be listed.
    """
    if not is_uri(source) or source.lower().startswith(("http:", "https:")):
        return
    with_splits: bool | None = None
    for below in walk_store(source, *PHOTO_SUFFIXES):
        folders = below.split("/")[:-1]
        if folders and with_splits is None:
            with_splits = any(name.lower() in SPLIT_NAMES for name in list_folders(source))
        yield _photo(join(source, below), folders[bool(with_splits) :], folders[0] if with_splits and folders else None)


def _photo(path: str, classes: list[str], split: str | None) -> SourcePhoto:
    if len(classes) not in (1, 2):
        return SourcePhoto(path, split=split)
    return SourcePhoto(path, classes[0], classes[1] if len(classes) == 2 else None, split=split)
