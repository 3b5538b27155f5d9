"""Limits of the number of open connections: each takes a file descriptor, and up to 64 KB of headers."""

from __future__ import annotations

import sys

if sys.platform != "win32":  # Windows has no such limit of open files
    import resource

__all__ = ["MAX_CONNECTIONS", "connection_limit", "raise_file_limit"]

MAX_CONNECTIONS = 2048
MAX_FILES = 2 * MAX_CONNECTIONS


def raise_file_limit() -> None:
    """Raise this process's limit of open files to what all connections need, as far as the system allows."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _limited(MAX_FILES, hard)
        if _limited(wanted, soft) < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit() -> int:
    """How many connections this process may hold: half as many as it may open files. The other half is for connections
    that it has not counted yet and for everything else that opens files.
    """
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    return _limited(MAX_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0]) // 2


def _limited(count: int, limit: int) -> int:
    return count if limit < 0 else min(count, limit)  # a limit of -1 means none on Linux
