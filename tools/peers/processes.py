"""Run functions of this package, or any command, in a new process, and measure wall time and peak memory.

The process of a function is ``python -m tools.peers.processes MODULE FUNCTION ARGUMENTS.json RESULT.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

__all__ = ["Failed", "Finished", "call", "run"]

ROOT = Path(__file__).resolve().parents[2]
TO_MB = 2**20 if sys.platform == "darwin" else 1024


class Failed(Exception):
    """Raised if a process fails; the message is the last line that it wrote to standard error."""


class Finished(NamedTuple):
    """Wall time in seconds, from before the start to after the end, and peak resident memory in MB.

    The memory is the largest of the process and of the children that it has waited for.
    """

    seconds: float
    memory: float


def call(python: str | Path, function: str, **arguments: Any) -> tuple[Any, Finished]:
    """Call ``module.function(**arguments)`` of this package in a new process; arguments and result are JSON.

    :raises Failed: the function raises an error.
    """
    module, name = function.split(".")
    with tempfile.TemporaryDirectory() as scratch:
        given, result = Path(scratch) / "arguments.json", Path(scratch) / "result.json"
        given.write_text(json.dumps(arguments))
        finished = run([python, "-m", "tools.peers.processes", module, name, given, result])
        return json.loads(result.read_text()), finished


def run(command: Sequence[str | os.PathLike[str]]) -> Finished:
    """Run a command in the project's folder, with two threads for every library.

    The calling process should be small: on Linux, a child's peak memory includes what its parent used at the start.

    :raises Failed: the exit code is not 0.
    """
    threads = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "2")
    # With this variable, a checkout would be compiled at each start, while packages that pip installs are not.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | threads
    with tempfile.TemporaryFile() as errors:
        start = perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise Failed(lines[-1] if lines else f"exit code {process.returncode}")
    return Finished(seconds, usage.ru_maxrss / TO_MB)


def main() -> None:
    """Call the function named on the command line, and write its result."""
    module, name, given, result = sys.argv[1:]
    function = getattr(import_module(f"tools.peers.{module}"), name)
    Path(result).write_text(json.dumps(function(**json.loads(Path(given).read_text()))))


if __name__ == "__main__":
    main()
