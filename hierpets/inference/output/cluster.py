"""Predict on a cluster: Ray Data distributes photos to workers with an engine each, which write records to Parquet.

Photos and records may be in any file system that pyarrow knows: local folders, ``s3://``, ``gs://``, ``hdfs://``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierpets.bundle.identity import model_id
from hierpets.bundle.manifest import read_manifest
from hierpets.cluster import cluster_errors, connected, map_on_workers, require_ray
from hierpets.data.addresses import is_on_disk
from hierpets.data.listing import list_photos
from hierpets.data.photos import NamedPhoto
from hierpets.errors import ConfigError, DataError, reason_of
from hierpets.files import cache_dir, whole_folder
from hierpets.inference.engines.base import EngineOptions
from hierpets.inference.loading import load
from hierpets.inference.options import PredictOptions
from hierpets.inference.output.cluster_folder import ClusterFolder
from hierpets.inference.output.request import RunRequest, RunTotals
from hierpets.inference.record import parquet_row, parquet_schema
from hierpets.recommend.digest import rules_digest
from hierpets.registry.loading import Registry, load_registry

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ClusterTask", "predict_on_cluster", "unpack_bundle"]

BLOCK = 1000  # photos per file of records
BATCH = 64  # photos that a worker gets at a time: enough for a batch of the engine in each of its threads
WAITING = 4  # threads of a worker: while some wait for the storage, another uses its core
WRITE_CPUS = 0.25  # share of a core for a task that mostly waits for files


@dataclass(frozen=True)
class ClusterTask:
    """The bundle, registry and options that every worker uses."""

    bundle: Path
    registry: Path
    engine: EngineOptions
    options: PredictOptions

    def request(self, paths: Sequence[str], registry: Registry) -> RunRequest:
        """The request that is stored in the folder of records."""
        return RunRequest(
            paths=tuple(paths),
            model=model_id(self.bundle),
            registry=str(self.registry),
            shampoo_rules=rules_digest(registry),
            options=self.options,
            engine=self.engine.engine,
            device=self.engine.device,
            precision=self.engine.precision,
            format="parquet",
        )


def predict_on_cluster(paths: Sequence[str], out: str, task: ClusterTask, *, address: str, resume: bool) -> RunTotals:
    """Write a record for each photo of ``paths`` to a folder of Parquet files, in no order.

    ``paths`` are photos, folders, URIs, and anything that a reader supports. ``address`` is that of a running cluster,
    ``ray://HOST:PORT``, or ``local`` to start Ray on this machine. The bundle is sent to the workers; hierpets, the
    registry.yaml and its plugins must be on every machine. With ``resume``, photos that have a record in ``out`` are
    skipped. At the end, the request and the totals are written to ``_run.json``: a folder with that file is complete.

    :raises ConfigError: Ray is missing, ``out`` is not empty, the options differ, or a folder has no photos.
    :raises DataError: the cluster failed, or a file cannot be written.
    """
    require_ray()
    registry = load_registry(task.registry)
    task.options.restriction(read_manifest(task.bundle).taxonomy)  # refuses an unknown name before anything starts
    photos = list_photos(paths, (), registry)
    folder, request = ClusterFolder.of(out), task.request(paths, registry)
    whole = folder.begin(request, resume=resume)
    recorded = folder.recorded()
    missing = (path for path in photos if not recorded.holds(path))
    first = next(missing, None)
    if first is not None:
        folder.reopen()
        with connected(address), cluster_errors(address):
            _run(chain((first,), missing), task, folder, rules_digest(registry))
    elif whole is not None:
        return whole
    return folder.finish(request)


def _run(photos: Iterable[str], task: ClusterTask, folder: ClusterFolder, shampoo_rules: str) -> None:
    ray, packed = require_ray(), _packed(task.bundle)
    digest, blocks = _digest(packed), [ray.put(block) for block in _blocks(photos)]
    records = map_on_workers(
        ray.data.from_arrow_refs(blocks),
        PredictionWorker,
        (ray.put(packed), digest, task),
        key=(digest, task, shampoo_rules),
        device=task.engine.device,
        batch_size=BATCH,
    )
    records.write_parquet(folder.inside, filesystem=folder.filesystem, ray_remote_args={"num_cpus": WRITE_CPUS})


def _blocks(photos: Iterable[str]) -> Iterator[pa.Table]:
    """Tables of names as given and of absolute paths, as bytes: a name may not be valid text."""
    import pyarrow as pa

    remaining = iter(photos)
    while names := list(islice(remaining, BLOCK)):
        columns = {"name": names, "path": [_absolute(name) for name in names]}
        yield pa.table({key: pa.array(map(os.fsencode, column), pa.binary()) for key, column in columns.items()})


def _absolute(path: str) -> str:
    return os.path.abspath(path) if is_on_disk(path) else path  # noqa: PTH100


class PredictionWorker:
    """A predictor with one engine, on one core or GPU."""

    def __init__(self, bundle: Any, digest: str, task: ClusterTask):
        import ray

        folder = unpack_bundle(ray.get(bundle), digest)
        self._predictor = load(folder, **asdict(task.engine), threads=1, workers=WAITING, registry=task.registry)
        self._options = task.options

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The records of a table of ``name`` and ``path``."""
        import pyarrow as pa

        names, paths = ([os.fsdecode(value) for value in batch[key].to_pylist()] for key in ("name", "path"))
        predictions = self._predictor.stream(map(NamedPhoto, names, paths), self._options)
        return pa.Table.from_pylist([parquet_row(p.to_json()) for p in predictions], parquet_schema())


def _packed(bundle: Path) -> dict[str, bytes]:
    files = (file for file in bundle.rglob("*") if file.is_file())
    return {file.relative_to(bundle).as_posix(): file.read_bytes() for file in files}


def _digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of names and contents; the folder of an unpacked bundle is named by it."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(b"%d %s %d " % (len(name), name.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def unpack_bundle(files: Mapping[str, bytes], digest: str) -> Path:
    """Write the files of a bundle, given by name, to a folder in the cache, once per machine; returns the folder.

    :raises DataError: it cannot be written there.
    """
    folder = cache_dir() / "bundles" / digest
    if folder.is_dir():
        return folder
    try:
        with whole_folder(folder, overwrite=False) as scratch:
            for name, content in files.items():
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(content)
    except (OSError, ConfigError) as error:
        if not folder.is_dir():  # otherwise, another worker was faster
            raise DataError(f"{folder}: the bundle cannot be unpacked: {reason_of(error)}") from error
    return folder
