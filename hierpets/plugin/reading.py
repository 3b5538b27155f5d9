"""What readers share: files here and in object stores, and the names by which photos and splits are known.

A path is a file or folder of this machine, or a URI of a file system that pyarrow knows: ``s3://``, ``gs://``,
``hdfs://``, ``file://``, and with ``fsspec+`` before it, one of fsspec. In a URI, ``%``, ``?`` and ``#`` of a name are
written ``%25``, ``%3F`` and ``%23``; after a ``?`` come options of the file system, in which ``:`` is ``%3A``.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from hierpets.errors import ConfigError, DataError, first_line
from hierpets.files import PHOTO_SUFFIXES, is_file, is_folder
from hierpets.libraries import needed_for

__all__ = [
    "ARCHIVED",
    "PHOTO_SUFFIXES",
    "SPLIT_NAMES",
    "is_file",
    "is_folder",
    "is_uri",
    "join",
    "list_files",
    "locate",
    "open_file",
    "require_pyarrow",
    "split_of",
    "suffix_of",
    "without_options",
]

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
ARCHIVED = re.compile(r"(?P<file>.+?\.(?P<kind>tar|parquet|arrow)(\?[^:]*)?):(?P<inside>.+)", re.DOTALL | re.IGNORECASE)
"""The address of a photo inside an archive or a table."""
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
SPLIT_PREFIX = re.compile(r"(train|validation|valid|val|test)(?![A-Za-z])", re.IGNORECASE)


def is_uri(path: str) -> bool:
    """Whether a path is a URI; a drive letter of Windows is none."""
    return URI.match(path) is not None


def without_options(path: str) -> str:
    """A path, or the URI without the options of its file system."""
    return path.partition("?")[0] if is_uri(path) and not _is_literal(path) else path


def suffix_of(path: str) -> str:
    """The ending of the name in a path or URI, in lower case."""
    return os.path.splitext(without_options(path))[1].lower()  # noqa: PTH122  a URI is no path


def require_pyarrow() -> Any:
    """pyarrow, or the error that says how to get it."""
    with needed_for("reading and writing Parquet, Arrow and object stores"):
        import pyarrow
        import pyarrow.fs
    return pyarrow


def locate(path: str) -> tuple[Any, str]:
    """The ``pyarrow.fs.FileSystem`` of a path or URI, and the path there.

    :raises ConfigError: pyarrow is missing, or knows no such file system.
    """
    pa = require_pyarrow()
    if not is_uri(path):
        return pa.fs.LocalFileSystem(), os.path.abspath(path)  # noqa: PTH100
    try:
        found: tuple[Any, str] = pa.fs.FileSystem.from_uri(path if _is_literal(path) else _escaped(path))
        return found
    except (pa.ArrowException, OSError, ImportError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be opened: {first_line(error)}") from error


def join(folder: str, below: str) -> str:
    """The path or URI of what lies ``below`` a folder: ``below`` is its name there, with ``/`` between folders."""
    if not is_uri(folder) or _is_literal(folder):
        return f"{folder.rstrip('/')}/{below}"
    address, mark, options = folder.partition("?")
    return f"{address.rstrip('/')}/{quote(below)}{mark}{options}"


def _is_literal(uri: str) -> bool:
    """Whether names stand in it as they are: fsspec decodes none."""
    return uri.startswith("fsspec+")


def _escaped(uri: str) -> str:
    """A URI in which people wrote letters that belong into none, such as a space."""
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", quote(uri, safe="%/:?&=@+,;!$'()*~[]"))


def open_file(path: str) -> BinaryIO:
    """A file opened for reading, which can seek.

    :raises OSError: it is not there or cannot be read.
    """
    if not is_uri(path):
        return Path(path).open("rb")
    filesystem, inside = locate(path)
    return cast(BinaryIO, filesystem.open_input_file(inside))


def list_files(source: str, *suffixes: str) -> list[str]:
    """The file ``source`` itself if it has one of the suffixes, or those of a pattern such as ``train-*.tar``; else
    those in this folder and in the folders in it.

    Deeper folders are not looked into: a folder of photos may hold millions. Hidden ones are left out, and what is not
    there has no files.

    :raises DataError: a folder cannot be listed, or one in it beside such files.
    """
    if suffix_of(source) in suffixes:
        return [source] if is_uri(source) or Path(source).is_file() else sorted(glob.glob(source))  # noqa: PTH207
    unlisted: list[OSError] = []
    try:
        if is_uri(source):
            return sorted(_remote_files(source, suffixes))
        found = sorted(_local_files(Path(source), suffixes, unlisted))
        if found and unlisted:  # without such files it is a folder of something else
            raise unlisted[0]
    except OSError as error:
        raise DataError(f"{error.filename or source}: cannot be listed: {error.strerror or error}") from error
    return found


def split_of(path: str) -> str | None:
    """The split that a file's name begins with, or that its folder is called by: ``train-00001.tar``, ``val/a.tar``."""
    file = PurePosixPath(without_options(path))
    named = SPLIT_PREFIX.match(file.name)
    return SPLIT_NAMES.get(named[1].lower() if named else file.parent.name.lower())


def _local_files(folder: Path, suffixes: Sequence[str], unlisted: list[OSError], deeper: int = 1) -> Iterator[str]:
    """The errors of folders that cannot be listed are added to ``unlisted``."""
    if not is_folder(folder):
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if is_folder(entry.path):
                    yield from _local_files(Path(entry.path), suffixes, unlisted, deeper - 1) if deeper else ()
                elif suffix_of(entry.name) in suffixes:
                    yield entry.path
    except PermissionError as error:
        unlisted.append(error)


def _remote_files(folder: str, suffixes: Sequence[str], deeper: int = 1) -> Iterator[str]:
    import pyarrow.fs

    filesystem, inside = locate(folder)
    if filesystem.get_file_info(inside).type is not pyarrow.fs.FileType.Directory:
        return
    for info in filesystem.get_file_info(pyarrow.fs.FileSelector(inside, allow_not_found=True)):
        path = join(folder, info.base_name)
        if info.base_name.startswith("."):
            continue
        if info.type is pyarrow.fs.FileType.Directory:
            yield from _remote_files(path, suffixes, deeper - 1) if deeper else ()
        elif suffix_of(info.base_name) in suffixes:
            yield path
