"""Peak memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["peak_memory_mb"]

MB = 2**20


def peak_memory_mb() -> float | None:
    """Peak resident memory in MB; None if the system does not report it."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would include the parent's memory at the fork
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024
