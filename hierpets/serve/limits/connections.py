"""How many connections a server holds: each takes a file descriptor, and up to 64 KB of headers."""

from __future__ import annotations

import sys

if sys.platform != "win32":  # which limits neither
    import resource

__all__ = ["MOST_CONNECTIONS", "connection_limit", "raise_file_limit"]

MOST_CONNECTIONS = 2048
MOST_FILES = 2 * MOST_CONNECTIONS


def raise_file_limit() -> None:
    """Let this process open the files that all connections need, as far as the system allows it."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _at_most(MOST_FILES, hard)
        if _at_most(wanted, soft) < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit() -> int:
    """How many connections this process may hold: half of its files, since others may have come that it does not know
    yet, and all else opens files, too.
    """
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    return _at_most(MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0]) // 2


def _at_most(count: int, limit: int) -> int:
    return count if limit < 0 else min(count, limit)  # Linux says -1 where there is none
