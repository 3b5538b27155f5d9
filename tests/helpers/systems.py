"""What a system may lack, as marks of the tests that need it."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def _works(make: Callable[[Path], object]) -> bool:
    with TemporaryDirectory() as folder:
        try:
            make(Path(folder))
        except (OSError, UnicodeDecodeError):
            return False
    return True


needs_links = pytest.mark.skipif(
    not _works(lambda folder: (folder / "link").symlink_to("file")),
    reason="system: this user may not make symbolic links",
)
needs_locks = pytest.mark.skipif(os.name != "posix", reason="system: needs file locks")
needs_limits = pytest.mark.skipif(os.name != "posix", reason="system: needs limits of what a process may use")
needs_odd_names = pytest.mark.skipif(
    not _works(lambda folder: (folder / 'a"?:<\t').touch()), reason="system: file names hold no quotes or colons"
)
needs_byte_names = pytest.mark.skipif(
    not _works(lambda folder: (folder / os.fsdecode(b"\xff")).touch()), reason="system: its file names are text"
)
