"""Runs a process to its end, and tells its wall time and its peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

__all__ = ["Broken", "Finished", "run"]

ROOT = Path(__file__).resolve().parents[2]
TO_MB = 2**20 if sys.platform == "darwin" else 1024


class Broken(Exception):
    """A process that ended with an error; the message is the last line that it wrote."""


class Finished(NamedTuple):
    """Wall time in seconds, from before the start to after the end, and peak resident memory in MB.

    The memory is that of the process and of children it has waited for, whichever was largest.
    """

    seconds: float
    memory: float


def run(command: Sequence[str | os.PathLike[str]], *, log: Path) -> Finished:
    """Run a command in the project's folder with two threads for every library; what it writes goes to ``log``.

    The caller should be small: on Linux a child's peak counts from what its parent held when it was started.

    :raises Broken: it exits with another code than 0.
    """
    threads = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "2")
    # What pip installs comes compiled. With this variable a checkout would be compiled anew at each start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | threads
    errors = log.with_name(log.name + ".err")
    with log.open("wb") as output, errors.open("wb") as told:
        start = perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=told
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = errors.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
        raise Broken(lines[-1])
    return Finished(seconds, usage.ru_maxrss / TO_MB)
