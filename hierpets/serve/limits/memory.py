"""Keeps the memory of a long-running server flat under glibc."""

from __future__ import annotations

import ctypes
import os

__all__ = ["limit_malloc_arenas"]

# From malloc.h.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8


def limit_malloc_arenas() -> bool:
    """Two arenas, and every block of 1 MB or more from the system and back to it; whether the C library can do it.

    Photos are decoded in threads that come and go. Left alone, glibc gives each an arena and keeps what they free:
    under load the server then grows by a third for a minute or two before it settles.
    """
    if "MALLOC_ARENA_MAX" in os.environ:  # somebody has chosen
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # not glibc
        return False
    return bool(mallopt(M_ARENA_MAX, 2) and mallopt(M_MMAP_THRESHOLD, 2**20))
