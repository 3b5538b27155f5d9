"""Files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hierpets.errors import ConfigError

__all__ = ["cache_dir", "check_output", "whole_file", "whole_folder", "write_all", "write_text"]


def check_output(path: Path, *, overwrite: bool) -> None:
    """Check a file or folder that is to be written, before the work that it will hold.

    :raises ConfigError: it exists and ``overwrite`` is not given, or there is no writable folder to put it in.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: already exists; use --overwrite or choose another name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ConfigError(f"{path}: cannot be written: {folder} is a file, not a folder")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: cannot be written: no permission to write in {folder}")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all; its folder is made."""
    write_all(path.parent, {path.name: text.encode()})


def write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by their names inside a folder: first all beside their places, then all into place."""
    scratches = {}
    try:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            scratches[path] = path.with_name(f".{path.name}.{os.getpid()}")
            scratches[path].write_bytes(content)
        for path, scratch in scratches.items():
            scratch.replace(path)
    finally:
        for scratch in scratches.values():
            scratch.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` at the end and then survives a power cut."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave an empty file under the new name
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which replaces ``folder`` at the end; after an error, ``folder`` is unchanged."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        yield made
        old = Path(scratch) / "old"
        if folder.exists():
            folder.rename(old)
        try:
            made.rename(folder)
        except OSError:
            if old.exists():  # or it would go with the scratch folder
                old.rename(folder)
            raise


def cache_dir() -> Path:
    """``HIERPETS_CACHE``, else ``XDG_CACHE_HOME/hierpets``, else ``~/.cache/hierpets``."""
    if own := os.environ.get("HIERPETS_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "hierpets"
    # Without a home ~ stays, which is a place that cannot be used rather than a folder of that name here.
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises
    return (Path(home) if home != "~" else Path(os.devnull)) / ".cache" / "hierpets"
