"""What readers share: files here and in object stores, and the names by which photos and splits are known.

A path is a file or folder of this machine, or a URI of a file system that pyarrow knows: ``s3://``, ``gs://``,
``hdfs://``, ``file://``, and with ``fsspec+`` before it, one of fsspec. In a URI, ``%``, ``?`` and ``#`` of a name are
written ``%25``, ``%3F`` and ``%23``; after a ``?`` come options of the file system, in which ``:`` is ``%3A``.
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
"""Archives in which no photo can be found without unpacking all before it."""
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


def refuse_web(path: str) -> None:
    """:raises ConfigError: an address of the web."""
    if path.lower().startswith(("http://", "https://")):
        raise ConfigError(f"{path}: a URL is not read; download the photo first")


def locate(path: str) -> tuple[Any, str]:
    """The ``pyarrow.fs.FileSystem`` of a path or URI, and the path there.

    :raises ConfigError: an address of the web; pyarrow is missing, or knows no such file system.
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

    Deeper folders are not looked into: a folder of photos may hold millions. Folders of partitions, ``split=train``, do
    not count. Hidden ones are left out, and what is not there has no files.

    :raises DataError: a folder cannot be listed, or one in it beside such files.
    """
    unlisted: list[OSError] = []
    try:
        if suffix_of(source) in suffixes and not _is_any_folder(source):  # Spark writes folders called x.parquet
            return [source] if is_uri(source) or Path(source).is_file() else sorted(glob.glob(source))  # noqa: PTH207
        if is_uri(source):
            return sorted(join(source, below) for below in walk_store(source, *suffixes, deepest=1))
        found = sorted(_local_files(Path(source), suffixes, unlisted))
        if found and unlisted:  # without such files it is a folder of something else
            raise unlisted[0]
    except OSError as error:
        raise DataError(f"{error.filename or source}: cannot be listed: {reason_of(error)}") from error
    return found


def partitions_of(path: str) -> dict[str, str]:
    """What the folders right above a file say that Hive, Spark and pyarrow call ``split=train/species=dog``."""
    bare = without_options(path)
    folders = PurePath(unquote(bare) if is_uri(path) and not _is_literal(path) else bare).parent.parts
    pairs = [name.partition("=") for name in takewhile(lambda name: "=" in name, reversed(folders))]
    return {key: unquote(value) for key, _, value in pairs if value != "__HIVE_DEFAULT_PARTITION__"}


def split_of(path: str) -> str | None:
    """The split that a file's name begins with, or that its folder is called by: ``train-00001.tar``, ``val/a.tar``."""
    file = PurePath(without_options(path))
    named = SPLIT_PREFIX.match(file.name)
    return SPLIT_NAMES.get(named[1].lower() if named else file.parent.name.lower().removesuffix(".parquet"))  # Spark's


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed: {reason_of(error)}") from error


def walk_files(
    folder: str | os.PathLike[str], *suffixes: str, on_error: Callable[[OSError], None] = _refuse
) -> Iterator[str]:
    """Every file with one of the suffixes below a folder of this machine; hidden files and folders are left out.

    The files of a folder come sorted, then its subfolders do. One folder's names are held at a time. ``on_error``
    hears of folders that cannot be listed.

    :raises DataError: a folder that cannot be listed, without ``on_error``.
    """
    visited = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=on_error):
        real = os.path.realpath(here)
        folders[:] = [] if real in visited else sorted(f for f in folders if not f.startswith("."))
        if real not in visited:
            yield from (os.path.join(here, name) for name in sorted(files) if _is_wanted(name, suffixes))  # noqa: PTH118
        visited.add(real)


def walk_store(folder: str, *suffixes: str, deepest: int | None = None) -> Iterator[str]:
    """The same below the URI of a folder, by what is to be joined to it; ``deepest`` 0 looks into no subfolder but
    partitions, ``split=train``.

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
    """In how many folders it lies, partitions not counted."""
    return sum("=" not in name for name in below.split("/")[:-1])


def list_folders(folder: str) -> list[str]:
    """The names of the folders in the URI of a folder, sorted; hidden ones are left out.

    :raises DataError: it cannot be listed.
    """
    filesystem, inside = locate(folder)
    return _look_into(filesystem, inside, folder)[1]


def _look_into(filesystem: Any, inside: str, folder: str) -> tuple[list[str], list[str]]:
    """The names of files and of folders, sorted; none in what is a file or not there."""
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
    """Whether a path or URI is that of a folder."""
    if not is_uri(path):
        return is_folder(path)
    import pyarrow.fs

    filesystem, inside = locate(path)
    return bool(filesystem.get_file_info(inside).type is pyarrow.fs.FileType.Directory)


def _local_files(folder: Path, suffixes: Sequence[str], unlisted: list[OSError], deeper: int = 1) -> Iterator[str]:
    """The errors of folders that cannot be listed are added to ``unlisted``."""
    if not is_folder(folder):
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if is_folder_entry(entry):
                    left = deeper - ("=" not in entry.name or entry.is_symlink())  # a link may lead to where it lies
                    yield from _local_files(Path(entry.path), suffixes, unlisted, left) if left >= 0 else ()
                elif suffix_of(entry.name) in suffixes:
                    yield entry.path
    except PermissionError as error:
        unlisted.append(error)
