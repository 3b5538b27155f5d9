"""File helpers: recognize photos, write files and folders atomically, lock and check them."""

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

from hierpets.errors import ConfigError, reason_of

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
    "try_to_write",
    "whole_file",
    "whole_folder",
    "write_all",
    "write_file",
]

OLD = "old"
MAX_NAMED = 3  # files that are named as the reason why a folder is not replaced
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # files that file managers leave behind
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))  # EDQUOT is missing on Windows
SCRATCH_FOLDER = "-scratch-"
SCRATCH = re.compile(r"\d+-[0-9a-f]{8}")  # process id, and a random part: two threads may write the same file
PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"]
)


def is_photo(name: str) -> bool:
    """Whether a file is a photo, by its name alone; hidden ones are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122


def followed(path: Path) -> Path:
    """The target of a link, which is written instead of the link itself; any other path unchanged.

    A link to a device or a pipe is not resolved: the target of ``/dev/stdout`` may have no name.
    """
    return Path(os.path.realpath(path)) if path.is_symlink() and not is_device(path) else path


def is_device(path: Path) -> bool:
    """Whether it exists and is neither file nor folder: it cannot be replaced, only written to."""
    return path.exists() and not path.is_file() and not path.is_dir()


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether it is a folder; False if that cannot be found out, where ``Path.is_dir`` raises: for a name that is too
    long, or without permission for its folder.
    """
    return os.path.isdir(path)  # noqa: PTH112


def is_folder_entry(entry: os.DirEntry[str]) -> bool:
    """The same for an entry of ``os.scandir``, which needs no further system call except for a link."""
    return is_folder(entry) if entry.is_symlink() else entry.is_dir()


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether it is a file; False if that cannot be found out, as for :func:`is_folder`."""
    return os.path.isfile(path)  # noqa: PTH113


def size_of(folder: Path) -> int:
    """The size of all files in a folder and its subfolders, in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def check_output(path: Path, *, overwrite: bool) -> None:
    """Check that a file or folder can be written, before the work whose results it will hold.

    :raises ConfigError: it exists and ``overwrite`` is not given, or nothing can be created in its folder.
    """
    if is_device(path):
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{path}: cannot be written: no permission")
        return
    if path.exists() and not overwrite:
        raise _taken(path)
    target = followed(path).absolute()
    folder = next((parent for parent in target.parents if parent.exists()), target)
    if not folder.is_dir():
        raise ConfigError(f"{path}: cannot be written: {folder} is a file, not a folder")
    try:
        try_to_write(folder / target.name)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written: no file can be created in {folder}: {reason_of(error)}"
        ) from error


def try_to_write(path: Path) -> None:
    """Create a temporary file beside ``path``, and delete it.

    Permissions would not tell: root has them everywhere, also in ``/proc``, and they do not know how long a name may
    be.

    :raises OSError: it cannot be created.
    """
    with _scratch_file(path):
        pass


def _taken(path: Path) -> ConfigError:
    return ConfigError(f"{path}: already exists; give overwrite to replace it, or choose another name")


def check_folder(path: Path, *, overwrite: bool, mark: Path | str, kind: str, holds: Sequence[str]) -> None:
    """Check that a folder can be written, or replaced with all its content.

    An existing folder must be empty, or hold the file ``mark`` of its ``kind`` and only entries that match one of the
    patterns ``holds``.

    :raises ConfigError: as :func:`check_output`; or the folder holds something else; or it cannot be replaced.
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
        more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
        raise ConfigError(
            f"{path}: holds {', '.join(others[:MAX_NAMED])}{more} beside the {kind}, and is not replaced; write into "
            "a folder of its own"
        )


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file atomically; its folder is created. Text is encoded as in :func:`write_all`."""
    write_all(path.parent, {path.name: content})


def write_all(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write files, given by their names in a folder: first all under temporary names, then rename all.

    Text is written as UTF-8; lone surrogates, by which Python represents undecodable bytes of file names, are written
    as ``\\udcXX``.
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
    """Open a temporary file for writing, which replaces ``path`` at the end and is then safe from a power cut."""
    path = followed(path)
    with _scratch_file(path) as file:
        yield file
        file.flush()
        if not is_device(path):
            os.fsync(file.fileno())  # otherwise, a power cut could leave an empty file under the new name
        _move(file, path)


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Create a temporary folder to fill, which replaces ``folder`` at the end; after an error, ``folder`` is unchanged.

    Temporary folders that killed processes left behind are removed first.

    :raises ConfigError: ``folder`` exists at the end, perhaps by another process, and ``overwrite`` is not given.
    """
    folder = Path(os.path.realpath(folder))  # resolves links, and . and .., which have neither name nor parent
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
        except BaseException:  # also Ctrl-C between the two renames
            if old.exists() and not folder.exists():  # otherwise, it would be deleted with the scratch folder
                old.rename(folder)
            raise


def lock(handle: int | None) -> bool:
    """Lock an open file or folder until it is closed. Returns False if another process has locked it.

    Without such locks (on Windows, or with ``handle`` None), nothing is locked, and it returns True.
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
    """A temporary file beside ``path``, locked while it is in use; those of killed processes are removed.

    A device or a pipe is opened itself, as it cannot be replaced.
    """
    if is_device(path):
        with path.open("wb") as device:
            yield device
        return
    _remove_stale_files(path)
    scratch = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
    with naming(path):
        try:
            with scratch.open("xb") as file:
                if lock(file.fileno()) and scratch.exists():
                    yield file
                    return
        finally:
            scratch.unlink(missing_ok=True)
    with _scratch_file(path) as another:  # another process took this one for a stale one before it was locked
        yield another


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the path in errors inside about a full disk, for which the system names no file, and about the path's
    temporary files and folders, of which users know nothing.
    """
    scratch = str(path.parent / f".{path.name}")
    try:
        yield
    except OSError as error:
        unnamed = error.errno in NO_ROOM and error.filename is None
        if unnamed or str(error.filename).startswith((f"{scratch}.", f"{scratch}{SCRATCH_FOLDER}")):
            error.filename = str(path)
        raise


def _move(file: BinaryIO, path: Path) -> None:
    if Path(file.name) == path:
        return
    if os.name != "posix":
        file.close()  # Windows cannot move an open file; elsewhere it stays locked until it is in its place
    Path(file.name).replace(path)


def _remove_stale_files(path: Path) -> None:
    prefix = f".{path.name}."
    for stale in path.parent.glob(glob.escape(prefix) + "[0-9]*"):
        if SCRATCH.fullmatch(stale.name.removeprefix(prefix)):
            with suppress(OSError):
                _remove_unused(stale)


def _remove_unused(file: Path) -> None:
    """Delete a temporary file unless another process uses it. :raises OSError: it does, on Windows."""
    if os.name != "posix":
        file.unlink()
        return
    with file.open("rb") as opened:
        if lock(opened.fileno()):
            file.unlink()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``, locked while it is in use."""
    with (
        tempfile.TemporaryDirectory(prefix=_prefix(folder), dir=folder.parent) as name,
        open_folder(Path(name)) as handle,
    ):
        if lock(handle) and Path(name).exists():
            yield Path(name)
            return
    with _scratch(folder) as another:  # another process took this one for a stale one before it was locked
        yield another


def _remove_stale(folder: Path) -> None:
    """Remove the scratch folders of killed processes: those that nobody has locked."""
    for stale in folder.parent.glob(glob.escape(_prefix(folder)) + "*"):
        with suppress(OSError), open_folder(stale) as handle:
            if handle is None or not lock(handle):
                continue
            if not folder.exists() and (stale / OLD).exists():  # killed between the two renames
                (stale / OLD).rename(folder)
            shutil.rmtree(stale, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f".{folder.name}{SCRATCH_FOLDER}"


@contextmanager
def open_folder(folder: Path) -> Iterator[int | None]:
    """Open a folder for :func:`lock`; the handle is None where the system cannot open folders."""
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
    # Without a home, ~ is not expanded: use a place that cannot be written rather than a folder named ~ here.
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises
    return (Path(home) if home != "~" else Path(os.devnull)) / ".cache" / "hierpets"
