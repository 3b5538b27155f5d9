"""Keeps the memory of a long-running server flat under glibc."""

from __future__ import annotations

import ctypes
import os

__all__ = ["limit_malloc_arenas"]

# From malloc.h.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8


def limit_malloc_arenas() -> bool:
    """Have malloc use two arenas, and the system for blocks of 1 MB or more; whether the C library can do that.

    Photos are decoded in short-lived threads. By default glibc gives each an arena and keeps the memory they free:
    under load the server then grows by a third for a minute or two before it settles.
    """
    if "MALLOC_ARENA_MAX" in os.environ:  # the user has chosen
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # not glibc
        return False
    return bool(mallopt(M_ARENA_MAX, 2) and mallopt(M_MMAP_THRESHOLD, 2**20))
