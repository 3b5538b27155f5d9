"""Connect to a Ray cluster, map batches on its workers, and report its errors in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hierpets.errors import ConfigError, DataError, first_line
from hierpets.libraries import needed_for

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["cluster_errors", "connected", "map_on_workers", "require_ray"]

Worker = Callable[..., "pa.Table"]

# Lines of a traceback to report: the message of an error of hierpets, else the first exception with its message.
RAISED = tuple(re.compile(line, re.MULTILINE) for line in (r"^hierpets\.errors\.\w+: (.+)$", r"^([\w.]+Error: .+)$"))


def require_ray() -> Any:
    """Import Ray; the error without it says how to install it."""
    with needed_for("--cluster"):
        import ray
        import ray.data
    return ray


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Use the running connection to Ray, or connect on entry and disconnect on exit.

    ``address`` is that of a running cluster, ``ray://HOST:PORT``, or ``local`` to start Ray on this machine.

    :raises ConfigError: Ray is not installed, or not running at this address.
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
def cluster_errors(address: str) -> Iterator[None]:
    """:raises DataError: a worker failed; the message has its error, without Ray's traceback, and what to do."""
    ray = require_ray()
    try:
        yield
    except ray.exceptions.RayError as error:
        raise DataError(
            f"--cluster {address}: {_raised(error)}; what is finished is kept: mend this, then continue with resume"
        ) from error


def map_on_workers(
    dataset: Any,
    worker: Callable[..., Worker],
    arguments: tuple[Any, ...],
    *,
    key: Any,
    device: str,
    batch_size: int,
    given: dict[str, Any] | None = None,
) -> Any:
    """Map the batches of a Ray ``dataset``, pyarrow tables, on workers; returns a Ray dataset.

    Each worker is a ``worker(*arguments)`` on one core or GPU, and is called with a batch and the keyword arguments
    ``given``. Ray starts as many workers as the cluster has room for, and replaces those that die. On CPUs, their
    processes live while the driver is connected, and each keeps its worker for the next call with an equal ``key``.
    """
    ray = require_ray()
    shared = {
        "batch_size": batch_size,
        "batch_format": "pyarrow",
        "zero_copy_batch": True,
        # Reading and writing need a share of a core, too: a cluster with one core would deadlock otherwise.
        "num_cpus": 1 if ray.cluster_resources().get("CPU", 1) > 1 else 0.5,
    }
    if device == "cuda":
        # CUDA stays on the GPU that it started on: a process must end with the work that it was assigned the GPU for.
        pool = ray.data.ActorPoolStrategy(min_size=1)
        return dataset.map_batches(
            worker, fn_constructor_args=arguments, fn_kwargs=given, num_gpus=1, compute=pool, **shared
        )
    task = {"worker": worker, "arguments": arguments, "key": key, "given": given or {}}
    return dataset.map_batches(_by_kept_worker, fn_kwargs=task, **shared)


_kept: list[tuple[Any, Worker]] = []  # the worker of this process with its key, at most one


def _by_kept_worker(
    batch: pa.Table, *, worker: Callable[..., Worker], arguments: tuple[Any, ...], key: Any, given: dict[str, Any]
) -> pa.Table:
    """Run a batch by the worker of this process; Ray reuses the process for other tasks."""
    if not any(known == key for known, _ in _kept):
        _kept.clear()
        _kept.append((key, worker(*arguments)))
    return _kept[0][1](batch, **given)


def _raised(error: BaseException) -> str:
    found = (line[1] for pattern in RAISED for line in pattern.finditer(str(error)))
    return next(found, first_line(error))
