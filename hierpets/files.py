"""Files: which are photos, and how they are written whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from hierpets.errors import ConfigError

__all__ = [
    "PHOTO_SUFFIXES",
    "cache_dir",
    "check_folder",
    "check_output",
    "followed",
    "is_device",
    "is_file",
    "is_folder",
    "is_folder_entry",
    "is_photo",
    "lock",
    "naming",
    "open_folder",
    "size_of",
    "whole_file",
    "whole_folder",
    "write_all",
    "write_file",
]

OLD = "old"
MOST_NAMED = 3  # of the files for which a folder is not replaced
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # what file managers leave in a folder that was looked at
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota of this name
SCRATCH = re.compile(r"\d+-[0-9a-f]{8}")  # the process, and which of its files: two of its threads may write one
PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"]
)


def is_photo(name: str) -> bool:
    """Whether a file is a photo, by its name alone; hidden ones are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122


def followed(path: Path) -> Path:
    """What a link to a file or folder leads to: that is to be written, not the link. A device or a pipe keeps its name:
    ``/dev/stdout`` may lead to what has none.
    """
    return Path(os.path.realpath(path)) if path.is_symlink() and not is_device(path) else path


def is_device(path: Path) -> bool:
    """Whether it is there and neither file nor folder: nothing can take its place, and it is written to as it is."""
    return path.exists() and not path.is_file() and not path.is_dir()


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether it is a folder; False for what cannot be looked at, where ``Path.is_dir`` raises: what has too long a
    name, or lies in a folder that may not be entered.
    """
    return os.path.isdir(path)  # noqa: PTH112


def is_folder_entry(entry: os.DirEntry[str]) -> bool:
    """The same of an entry of ``os.scandir``, which knows what it is: only a link is looked at."""
    return is_folder(entry) if entry.is_symlink() else entry.is_dir()


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether it is a file; False for what cannot be looked at, as :func:`is_folder`."""
    return os.path.isfile(path)  # noqa: PTH113


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder and below it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def check_output(path: Path, *, overwrite: bool) -> None:
    """Check a file or folder that is to be written, before the work that it will hold.

    :raises ConfigError: it exists and ``overwrite`` is not given, or there is no writable folder to put it in.
    """
    if is_device(path):
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{path}: cannot be written: no permission")
        return
    if path.exists() and not overwrite:
        raise _taken(path)
    folder = next(parent for parent in followed(path).absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ConfigError(f"{path}: cannot be written: {folder} is a file, not a folder")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: cannot be written: no permission to write in {folder}")


def _taken(path: Path) -> ConfigError:
    return ConfigError(f"{path}: already exists; give overwrite to replace it, or choose another name")


def check_folder(path: Path, *, overwrite: bool, mark: Path | str, kind: str, holds: Sequence[str]) -> None:
    """The same for a folder that is replaced as a whole, with all that is in it: it must be empty, or hold a file
    ``mark``, which those of its ``kind`` have, and no entries but those that match one of the patterns ``holds``.

    :raises ConfigError: as :func:`check_output`; or there is something else; or nothing can take the folder's place.
    """
    if path.exists() and (os.path.ismount(path) or Path.cwd().is_relative_to(os.path.realpath(path))):
        raise ConfigError(
            f"{path}: cannot be replaced: it is a mount, or the current folder is in it; choose a folder inside it"
        )
    check_output(path, overwrite=overwrite)
    if path.exists() and not (path / mark).is_file() and (not is_folder(path) or any(path.iterdir())):
        raise ConfigError(f"{path}: is no {kind}, and is not replaced; choose another folder")
    names = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    if others := [name for name in names if not any(fnmatchcase(name, pattern) for pattern in (*holds, *LITTER))]:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        raise ConfigError(
            f"{path}: holds {', '.join(others[:MOST_NAMED])}{more} beside the {kind}, and is not replaced; write into "
            "a folder of its own"
        )


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; its folder is made. Text as in :func:`write_all`."""
    write_all(path.parent, {path.name: content})


def write_all(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write files by their names inside a folder: first all beside their places, then all into place.

    Text is written as UTF-8; bytes of file names that are none, which Python keeps as lone surrogates, as ``\\udcXX``.
    """
    with ExitStack() as stack:
        files = {}
        for name, content in contents.items():
            path = followed(folder / name)
            path.parent.mkdir(parents=True, exist_ok=True)
            files[path] = stack.enter_context(_scratch_file(path))
            files[path].write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
            files[path].flush()
        for path, file in files.items():
            _move(file, path)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` at the end and then survives a power cut."""
    path = followed(path)
    with _scratch_file(path) as file:
        yield file
        file.flush()
        if not is_device(path):
            os.fsync(file.fileno())  # or a power cut could leave an empty file under the new name
        _move(file, path)


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``folder`` at the end; after an error, ``folder`` is unchanged.

    What a killed process left of an earlier one is removed first.

    :raises ConfigError: ``folder`` is there at the end, perhaps from another process, and not to ``overwrite``.
    """
    folder = Path(os.path.realpath(folder))  # what a link leads to; a folder named . or .. has neither name nor parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    with naming(folder), _scratch(folder) as scratch:
        made = scratch / "made"
        made.mkdir()
        yield made
        old = scratch / OLD
        try:
            if folder.exists():
                if not overwrite:
                    raise _taken(folder)
                folder.rename(old)
            made.rename(folder)
        except BaseException:  # Ctrl-C between the two, as well
            if old.exists() and not folder.exists():  # or it would go with the scratch folder
                old.rename(folder)
            raise


def lock(handle: int | None) -> bool:
    """Lock an open file or folder until it is closed; False if another process has locked it.

    Where the system has no such locks (Windows, ``handle`` None), nothing is locked, and it is True.
    """
    if handle is None or os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _scratch_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path``, locked as long as this process uses it; what killed processes left there is removed.

    A device or a pipe is written to as it is: nothing can take its place.
    """
    if is_device(path):
        with path.open("wb") as device:
            yield device
        return
    _remove_stale_files(path)
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with naming(path), scratch.open("xb") as file:
            if lock(file.fileno()) and scratch.exists():
                yield file
                return
    finally:
        scratch.unlink(missing_ok=True)
    with _scratch_file(path) as another:  # this one was taken for a stale one before it was locked
        yield another


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """The system does not say in which file there was no room."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise


def _move(file: BinaryIO, path: Path) -> None:
    if Path(file.name) == path:
        return
    if os.name != "posix":
        file.close()  # Windows moves no open file; elsewhere it stays locked until it is in its place
    Path(file.name).replace(path)


def _remove_stale_files(path: Path) -> None:
    prefix = f".{path.name}."
    for stale in path.parent.glob(glob.escape(prefix) + "[0-9]*"):
        if SCRATCH.fullmatch(stale.name.removeprefix(prefix)):
            with suppress(OSError):
                _remove_unused(stale)


def _remove_unused(file: Path) -> None:
    """:raises OSError: on Windows, which deletes no open file, another process uses it."""
    if os.name != "posix":
        file.unlink()
        return
    with file.open("rb") as opened:
        if lock(opened.fileno()):
            file.unlink()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder``, locked as long as this process uses it."""
    with (
        tempfile.TemporaryDirectory(prefix=_prefix(folder), dir=folder.parent) as name,
        open_folder(Path(name)) as handle,
    ):
        if lock(handle) and Path(name).exists():
            yield Path(name)
            return
    with _scratch(folder) as another:  # this one was taken for a stale one before it was locked
        yield another


def _remove_stale(folder: Path) -> None:
    """Remove the scratch folders of processes that are no more, which no one has locked."""
    for stale in folder.parent.glob(glob.escape(_prefix(folder)) + "*"):
        with suppress(OSError), open_folder(stale) as handle:
            if handle is None or not lock(handle):
                continue
            if not folder.exists() and (stale / OLD).exists():  # killed between the two renames
                (stale / OLD).rename(folder)
            shutil.rmtree(stale, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f".{folder.name}-scratch-"


@contextmanager
def open_folder(folder: Path) -> Iterator[int | None]:
    """A handle of a folder, for :func:`lock`; None where the system opens none."""
    handle = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def cache_dir() -> Path:
    """``HIERPETS_CACHE``, else ``XDG_CACHE_HOME/hierpets``, else ``~/.cache/hierpets``."""
    if own := os.environ.get("HIERPETS_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "hierpets"
    # Without a home ~ stays, which is a place that cannot be used rather than a folder of that name here.
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises
    return (Path(home) if home != "~" else Path(os.devnull)) / ".cache" / "hierpets"
