"""Find files of a folder that were not read: photos beside an archive or in no list, archives in deep folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from hierpets.data.addresses import files_named
from hierpets.errors import DataError
from hierpets.plugin.arrow import is_predictions
from hierpets.plugin.reading import (
    COMPRESSED,
    PHOTO_SUFFIXES,
    is_folder,
    is_uri,
    join,
    suffix_of,
    walk_files,
    walk_store,
)
from hierpets.text import counted, join_words

__all__ = ["find_unread", "refuse_unread"]

HOLDERS = (".tar", ".parquet")
_NAMED = 3


def find_unread(source: str, read: Collection[str]) -> list[str]:
    """Return the photos, archives and tables below a folder that are not among the files ``read``, by whatever path,
    nor tables of predictions, and the folders that cannot be listed.

    Compressed archives count beside uncompressed ones: they are probably forgotten shards. An object store is searched
    only if archives or tables were read: otherwise all of its photos were listed.
    """
    kinds, unlisted = {suffix_of(file) for file in read}, list[str]()
    wanted = (*PHOTO_SUFFIXES, *HOLDERS, *(COMPRESSED if ".tar" in kinds else ()))
    if is_folder(source):
        files = walk_files(source, *wanted, on_error=lambda error: unlisted.append(str(error.filename)))
        left = [file for file in files if file not in read and str(Path(file)) not in read]  # ./a is read as a
        known = {os.path.realpath(file) for file in (*read, *_named(read))} if left else ()
        return [file for file in left if os.path.realpath(file) not in known and not is_predictions(file)] + unlisted
    if is_uri(source) and kinds.intersection(HOLDERS):
        left = [file for file in (join(source, below) for below in walk_store(source, *wanted)) if file not in read]
        known = set(_named(read)) if left else ()
        return [file for file in left if file not in known and not is_predictions(file)]
    return []


def _named(read: Collection[str]) -> Iterator[str]:
    """Yield the photos beside the tables ``read`` that these name."""
    for file in read:
        if suffix_of(file) == ".parquet":
            yield from files_named(file)


def refuse_unread(source: str, form: str, read: Collection[str]) -> None:
    """:raises DataError: ``source``, read in this form, holds more than the files ``read``."""
    if left := find_unread(source, read):
        named = join_words([file.removeprefix(source).lstrip("/\\") for file in left], limit=_NAMED)
        pattern = _pattern(source, read)
        raise DataError(
            f"{source}: read as {form}, which leaves out {counted(len(left), 'file')}: {named}; bring them into this "
            f"form, or keep one form in a folder{f', or name {pattern!r} to read these alone' if pattern else ''}"
        )


def _pattern(source: str, read: Collection[str]) -> str | None:
    """Return a pattern that matches the archives or tables ``read`` and nothing else, if they lie in one folder."""
    kinds = {suffix_of(file) for file in read}.intersection(HOLDERS)
    folders = {Path(file).parent for file in read}
    here = Path(source) in folders
    if is_uri(source) or len(kinds) != 1 or (here and len(folders) > 1):
        return None
    return f"{glob.escape(source.rstrip('/'))}/{'' if here else '*/'}*{kinds.pop()}"
