"""What readers share: local files and object stores, and the names of photo files and splits.

A path is a local file or folder, or a URI of a file system that pyarrow knows: ``s3://``, ``gs://``, ``hdfs://``,
``file://``, or one of fsspec with ``fsspec+`` before it. In a URI, ``%``, ``?`` and ``#`` of a name are written
``%25``, ``%3F`` and ``%23``; after a ``?`` come options of the file system, in which ``:`` is ``%3A``.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast
from urllib.parse import quote, unquote

from hierpets.errors import ConfigError, DataError, first_line, reason_of
from hierpets.files import PHOTO_SUFFIXES, is_file, is_folder, is_folder_entry
from hierpets.libraries import needed_for

__all__ = [
    "ARCHIVED",
    "COMPRESSED",
    "PHOTO_SUFFIXES",
    "SPLIT_NAMES",
    "is_file",
    "is_folder",
    "is_uri",
    "join",
    "list_files",
    "list_folders",
    "locate",
    "open_file",
    "partitions_of",
    "refuse_web",
    "require_pyarrow",
    "split_of",
    "suffix_of",
    "walk_files",
    "walk_store",
    "without_options",
]

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
ARCHIVED = re.compile(r"(?P<file>.+?\.(?P<kind>tar|parquet|arrow)(\?[^:]*)?):(?P<inside>.+)", re.DOTALL | re.IGNORECASE)
"""The address of a photo inside an archive or a table."""
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""Suffixes of compressed archives: to reach a photo in one, everything before it would have to be unpacked."""
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
SPLIT_PREFIX = re.compile(r"(train|validation|valid|val|test)(?![A-Za-z])", re.IGNORECASE)


def is_uri(path: str) -> bool:
    """Whether a path is a URI; a Windows path with a drive letter is not."""
    return URI.match(path) is not None


def without_options(path: str) -> str:
    """Return the path; of a URI, without the options of its file system."""
    return path.partition("?")[0] if is_uri(path) and not _is_literal(path) else path


def suffix_of(path: str) -> str:
    """Return the suffix of a path or URI, in lower case."""
    return os.path.splitext(without_options(path))[1].lower()  # noqa: PTH122  a URI is not a path


def require_pyarrow() -> Any:
    """Return pyarrow, or raise an error that says how to install it."""
    with needed_for("reading and writing Parquet, Arrow and object stores"):
        import pyarrow
        import pyarrow.fs
    return pyarrow


def refuse_web(path: str) -> None:
    """:raises ConfigError: the path is a web address."""
    if path.lower().startswith(("http://", "https://")):
        raise ConfigError(f"{path}: a URL is not read; download the photo first")


def locate(path: str) -> tuple[Any, str]:
    """Return the ``pyarrow.fs.FileSystem`` of a path or URI, and the path inside it.

    :raises ConfigError: the path is a web address, pyarrow is missing, or it knows no such file system.
    """
    refuse_web(path)
    pa = require_pyarrow()
    if not is_uri(path):
        return pa.fs.LocalFileSystem(), os.path.abspath(path)  # noqa: PTH100
    try:
        return pa.fs.FileSystem.from_uri(path if _is_literal(path) else _escaped(path))
    except (pa.ArrowException, OSError, ImportError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be opened: {first_line(error)}") from error


def join(folder: str, below: str) -> str:
    """Return the path or URI of ``below``, a relative path with ``/`` between folders, inside a folder."""
    if not is_uri(folder) or _is_literal(folder):
        return f"{folder.rstrip('/')}/{below}"
    address, mark, options = folder.partition("?")
    return f"{address.rstrip('/')}/{quote(below)}{mark}{options}"


def _is_literal(uri: str) -> bool:
    """Whether the names in a URI are not percent-encoded: fsspec decodes none."""
    return uri.startswith("fsspec+")


def _escaped(uri: str) -> str:
    """Percent-encode the characters that people write in a URI although they are not allowed there, such as a space."""
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", quote(uri, safe="%/:?&=@+,;!$'()*~[]"))


def open_file(path: str) -> BinaryIO:
    """Open a path or URI for reading; the file can seek.

    :raises OSError: it is not there or cannot be read.
    """
    if not is_uri(path):
        return Path(path).open("rb")
    filesystem, inside = locate(path)
    return cast(BinaryIO, filesystem.open_input_file(inside))


def list_files(source: str, *suffixes: str) -> list[str]:
    """List the files with one of the suffixes: ``source`` itself or those that match it, if it is a file or a pattern
    such as ``train-*.tar``; else those in this folder and its immediate subfolders.

    Deeper folders are not searched, since a folder of photos may hold millions; folders of partitions, such as
    ``split=train``, do not count as a level. Hidden files and folders are left out. A missing source has no files.

    :raises DataError: the folder cannot be listed, or it has such files and one of its subfolders cannot be listed.
    """
    unlisted: list[OSError] = []
    try:
        if suffix_of(source) in suffixes and not _is_any_folder(source):  # Spark writes folders called x.parquet
            return [source] if is_uri(source) or Path(source).is_file() else sorted(glob.glob(source))  # noqa: PTH207
        if is_uri(source):
            return sorted(join(source, below) for below in walk_store(source, *suffixes, deepest=1))
        found = sorted(_local_files(Path(source), suffixes, unlisted))
        if found and unlisted:  # a folder without such files holds something else: leave it to other readers
            raise unlisted[0]
    except OSError as error:
        raise DataError(f"{error.filename or source}: cannot be listed: {reason_of(error)}") from error
    return found


def partitions_of(path: str) -> dict[str, str]:
    """Return the partition keys and values of a file: the folders right above it that Hive, Spark and pyarrow name
    ``KEY=VALUE``, such as ``split=train/species=dog``.
    """
    bare = without_options(path)
    folders = PurePath(unquote(bare) if is_uri(path) and not _is_literal(path) else bare).parent.parts
    pairs = [name.partition("=") for name in takewhile(lambda name: "=" in name, reversed(folders))]
    return {key: unquote(value) for key, _, value in pairs if value != "__HIVE_DEFAULT_PARTITION__"}


def split_of(path: str) -> str | None:
    """Return the split that a file's name begins with or its folder is called: ``train-00001.tar``, ``val/a.tar``."""
    file = PurePath(without_options(path))
    named = SPLIT_PREFIX.match(file.name)
    return SPLIT_NAMES.get(named[1].lower() if named else file.parent.name.lower().removesuffix(".parquet"))  # Spark's


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed: {reason_of(error)}") from error


def walk_files(
    folder: str | os.PathLike[str], *suffixes: str, on_error: Callable[[OSError], None] = _refuse
) -> Iterator[str]:
    """Yield every file with one of the suffixes below a local folder; hidden files and folders are left out.

    The sorted files of a folder come before its subfolders. Only one folder's names are held in memory at a time.
    ``on_error`` is called for folders that cannot be listed.

    :raises DataError: a folder cannot be listed, unless ``on_error`` is given.
    """
    visited = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=on_error):
        real = os.path.realpath(here)
        folders[:] = [] if real in visited else sorted(f for f in folders if not f.startswith("."))
        if real not in visited:
            yield from (os.path.join(here, name) for name in sorted(files) if _is_wanted(name, suffixes))  # noqa: PTH118
        visited.add(real)


def walk_store(folder: str, *suffixes: str, deepest: int | None = None) -> Iterator[str]:
    """Like :func:`walk_files` for the URI of a folder; yields paths relative to it, for :func:`join`.

    ``deepest`` limits the levels of subfolders; folders of partitions, such as ``split=train``, do not count.

    :raises DataError: a folder cannot be listed.
    """
    filesystem, root = locate(folder)
    waiting = [""]
    while waiting:
        above = waiting.pop()
        files, folders = _look_into(filesystem, f"{root.rstrip('/')}/{above.rstrip('/')}" if above else root, folder)
        yield from (above + name for name in files if _is_wanted(name, suffixes))
        below = [f"{above}{name}/" for name in reversed(folders)]
        waiting += [folder for folder in below if deepest is None or _depth(folder) <= deepest]


def _depth(below: str) -> int:
    """Number of folders in a relative path, not counting partitions."""
    return sum("=" not in name for name in below.split("/")[:-1])


def list_folders(folder: str) -> list[str]:
    """Return the sorted names of the subfolders of a folder, given by its URI; hidden ones are left out.

    :raises DataError: it cannot be listed.
    """
    filesystem, inside = locate(folder)
    return _look_into(filesystem, inside, folder)[1]


def _look_into(filesystem: Any, inside: str, folder: str) -> tuple[list[str], list[str]]:
    """Return the sorted names of files and of folders; empty if ``inside`` is a file or does not exist."""
    import pyarrow.fs

    try:
        entries = filesystem.get_file_info(pyarrow.fs.FileSelector(inside, allow_not_found=True))
    except NotADirectoryError:
        return [], []
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {reason_of(error)}") from error
    visible = sorted((info.base_name, info.is_file) for info in entries if not info.base_name.startswith("."))
    return [name for name, is_file in visible if is_file], [name for name, is_file in visible if not is_file]


def _is_wanted(name: str, suffixes: Sequence[str]) -> bool:
    return not name.startswith(".") and name.lower().endswith(tuple(suffixes))


def _is_any_folder(path: str) -> bool:
    """Whether a path or URI leads to a folder."""
    if not is_uri(path):
        return is_folder(path)
    import pyarrow.fs

    filesystem, inside = locate(path)
    return bool(filesystem.get_file_info(inside).type is pyarrow.fs.FileType.Directory)


def _local_files(folder: Path, suffixes: Sequence[str], unlisted: list[OSError], levels: int = 1) -> Iterator[str]:
    """Yield the files of a folder and of ``levels`` levels of subfolders.

    The errors of folders that cannot be listed are added to ``unlisted``.
    """
    if not is_folder(folder):
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if is_folder_entry(entry):
                    counts = "=" not in entry.name or entry.is_symlink()  # a link may lead back to its own folder
                    if levels >= counts:
                        yield from _local_files(Path(entry.path), suffixes, unlisted, levels - counts)
                elif suffix_of(entry.name) in suffixes:
                    yield entry.path
    except PermissionError as error:
        unlisted.append(error)
