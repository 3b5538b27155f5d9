"""Folders ``SPECIES/BREED`` of photos in an object store, with or without train, val and test above them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.reading import PHOTO_SUFFIXES, SPLIT_NAMES, is_uri, join, locate


def object_store(source: str) -> Iterator[SourcePhoto]:
    """The photos below a URI that pyarrow knows, ``s3://BUCKET/FOLDER``; their class is in the folders above them.

    The names of all are held, as the store lists them.

    :raises DataError: the store cannot be listed.
    """
    if not is_uri(source) or source.lower().startswith(("http:", "https:")):
        return
    import pyarrow.fs

    filesystem, folder = locate(source)
    selector = pyarrow.fs.FileSelector(folder, recursive=True, allow_not_found=True)
    try:
        paths = sorted(info.path for info in filesystem.get_file_info(selector) if info.is_file)
    except NotADirectoryError:
        return
    except OSError as error:
        raise DataError(f"{source}: cannot be listed: {error}") from error
    for path in paths:
        below = PurePosixPath(path).relative_to(PurePosixPath(folder))
        if below.suffix.lower() in PHOTO_SUFFIXES and not any(part.startswith(".") for part in below.parts):
            yield _photo(join(source, str(below)), list(below.parts[:-1]))


def _photo(path: str, folders: list[str]) -> SourcePhoto:
    split = SPLIT_NAMES.get(folders[0].lower()) if folders else None
    classes = folders[1:] if split else folders
    if len(classes) not in (1, 2):
        return SourcePhoto(path, split=split)
    return SourcePhoto(path, classes[0], classes[1] if len(classes) == 2 else None, split=split)
