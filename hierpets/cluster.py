"""A Ray cluster: how to reach it, and what went wrong there in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hierpets.errors import ConfigError, DataError, first_line
from hierpets.libraries import needed_for

__all__ = ["cluster_errors", "connected", "cpus_a_worker", "require_ray"]

# Lines of a traceback: the message of an error of hierpets, else the first exception with its message.
RAISED = tuple(re.compile(line, re.MULTILINE) for line in (r"^hierpets\.errors\.\w+: (.+)$", r"^([\w.]+Error: .+)$"))


def require_ray() -> Any:
    """Ray, or the error that says how to get it."""
    with needed_for("--cluster"):
        import ray
        import ray.data
    return ray


@contextmanager
def connected(address: str) -> Iterator[None]:
    """The Ray that is running already, or one that is started and stopped here.

    ``address`` is that of a running cluster, ``ray://HOST:PORT``, or ``local`` to start Ray on this machine.

    :raises ConfigError: Ray is missing, or there is none at this address.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, logging_level="warning", log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--cluster {address}: cannot connect to Ray: {first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def cluster_errors(address: str, advice: str = "") -> Iterator[None]:
    """:raises DataError: what a worker raised, without Ray's traceback, and what to do."""
    ray = require_ray()
    try:
        yield
    except ray.exceptions.RayError as error:
        raise DataError(f"--cluster {address}: {_raised(error)}{advice}") from error


def cpus_a_worker() -> float:
    """Cores that a worker asks for. Reading and writing need a share of one too, or a cluster of one core would wait
    for itself.
    """
    return 1 if require_ray().cluster_resources().get("CPU", 1) > 1 else 0.5


def _raised(error: BaseException) -> str:
    found = (line[1] for pattern in RAISED for line in pattern.finditer(str(error)))
    return next(found, first_line(error))
