"""A Ray cluster: how to reach it, how it works through photos, and what went wrong there in one line."""

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
def cluster_errors(address: str) -> Iterator[None]:
    """:raises DataError: what a worker raised, without Ray's traceback, and what to do."""
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
    made_of: tuple[Any, ...],
    *,
    key: Any,
    device: str,
    batch_size: int,
    given: dict[str, Any] | None = None,
) -> Any:
    """A Ray data set of what workers, each ``worker(*made_of)`` on one core or GPU, make of the batches of a
    ``dataset``, tables of pyarrow, and of what is ``given`` by name.

    Ray starts as many as the cluster has room for, and another where one dies. On CPUs, their processes are kept while
    the driver is connected, and each keeps its worker for the next call with an equal ``key``.
    """
    ray = require_ray()
    shared = {
        "batch_size": batch_size,
        "batch_format": "pyarrow",
        "zero_copy_batch": True,
        # Reading and writing need a share of a core too, or a cluster of one would wait for itself.
        "num_cpus": 1 if ray.cluster_resources().get("CPU", 1) > 1 else 0.5,
    }
    if device == "cuda":
        # CUDA stays on the GPU that it started on: a process must end with the work for which it was given one.
        pool = ray.data.ActorPoolStrategy(min_size=1)
        return dataset.map_batches(
            worker, fn_constructor_args=made_of, fn_kwargs=given, num_gpus=1, compute=pool, **shared
        )
    task = {"worker": worker, "made_of": made_of, "key": key, "given": given or {}}
    return dataset.map_batches(_by_kept_worker, fn_kwargs=task, **shared)


_kept: list[tuple[Any, Worker]] = []  # the worker of this process and its key; another takes its place


def _by_kept_worker(
    batch: pa.Table, *, worker: Callable[..., Worker], made_of: tuple[Any, ...], key: Any, given: dict[str, Any]
) -> pa.Table:
    """A task of Ray, which keeps its process for others."""
    if not any(known == key for known, _ in _kept):
        _kept.clear()
        _kept.append((key, worker(*made_of)))
    return _kept[0][1](batch, **given)


def _raised(error: BaseException) -> str:
    found = (line[1] for pattern in RAISED for line in pattern.finditer(str(error)))
    return next(found, first_line(error))
