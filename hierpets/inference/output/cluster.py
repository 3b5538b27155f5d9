"""Predictions on a cluster: Ray Data reads photos, workers with one engine each write records to Parquet.

Photos and records may be in any file system that pyarrow knows: local folders, ``s3://``, ``gs://``, ``hdfs://``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierpets.cluster import cluster_errors, connected, cpus_a_worker, require_ray
from hierpets.data.photos import NamedPhoto
from hierpets.errors import ConfigError, DataError
from hierpets.files import cache_dir, whole_folder
from hierpets.inference.engines.base import EngineOptions
from hierpets.inference.loading import load
from hierpets.inference.options import PredictOptions
from hierpets.inference.output.request import RunRequest, RunTotals
from hierpets.inference.record import parquet_row, parquet_schema
from hierpets.model.manifest import model_id, read_manifest
from hierpets.plugin.reading import PHOTO_SUFFIXES, locate

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ClusterTask", "predict_on_cluster", "unpack_bundle"]

BATCH = 32  # photos that a worker gets at a time
RUN_FILE = "_run.json"  # readers of Parquet skip names that begin with an underscore
READ_CPUS = 0.25  # of a core, for a task that mostly waits for files
FAILED_RULE = '"error": "'  # in a recommendation as JSON; without an error it is null


@dataclass(frozen=True)
class ClusterTask:
    """What every worker needs to know."""

    bundle: Path
    registry: Path
    engine: EngineOptions
    options: PredictOptions

    def request(self, paths: Sequence[str]) -> RunRequest:
        """What ``_run.json`` says about this task."""
        return RunRequest(
            paths=tuple(paths),
            model=model_id(self.bundle),
            registry=str(self.registry),
            options=self.options,
            engine=self.engine.engine,
            device=self.engine.device,
            precision=self.engine.precision,
            format="parquet",
        )


def predict_on_cluster(paths: Sequence[str], out: str, task: ClusterTask, *, address: str) -> RunTotals:
    """Write a record for each photo of ``paths``, photos and folders, to a folder of Parquet files, in no order.

    ``address`` is that of a running cluster, ``ray://HOST:PORT``, or ``local`` to start Ray on this machine. The bundle
    is sent to the workers; hierpets, the registry.yaml and its plugins must be on every machine. At the end, the
    request and the totals are written to ``_run.json``, so a folder with that file is complete.

    :raises ConfigError: Ray is missing, ``out`` is not empty, or a path does not exist.
    :raises DataError: the cluster failed.
    """
    ray = require_ray()
    task.options.mask(read_manifest(task.bundle).taxonomy)  # refuses an unknown name before anything starts
    filesystem, folder = locate(out)
    _check_free(filesystem, folder, out)
    roots = [_Root.of(path) for path in paths]
    if any(root.filesystem != roots[0].filesystem for root in roots):
        raise ConfigError(f"--cluster reads from one file system at a time; these are on several: {', '.join(paths)}")
    with connected(address), cluster_errors(address):
        try:
            _run(ray, roots, task, filesystem=filesystem, folder=folder)
        except (FileNotFoundError, ValueError) as error:
            raise ConfigError(f"{', '.join(paths)}: no photos to read: {_first_line(error)}") from error
    totals = _count(filesystem, folder)
    with filesystem.open_output_stream(f"{folder}/{RUN_FILE}") as file:
        file.write(task.request(paths).text(totals).encode())
    return totals


def _run(ray: Any, roots: Sequence[_Root], task: ClusterTask, *, filesystem: Any, folder: str) -> None:
    packed = _packed(task.bundle)
    bundle = ray.put(packed)
    photos = ray.data.read_binary_files(
        [root.inside for root in roots],
        filesystem=roots[0].filesystem,
        include_paths=True,
        file_extensions=[suffix.lstrip(".") for suffix in PHOTO_SUFFIXES],
        num_cpus=READ_CPUS,
    )
    records = photos.map_batches(
        Worker,
        fn_constructor_args=(bundle, _digest(packed), task, [(root.given, root.inside) for root in roots]),
        batch_size=BATCH,
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=cpus_a_worker(),
        num_gpus=1 if task.engine.device == "cuda" else None,
        compute=ray.data.ActorPoolStrategy(min_size=1),
    )
    records.write_parquet(folder, filesystem=filesystem, ray_remote_args={"num_cpus": READ_CPUS})


class Worker:
    """One engine on one core; Ray starts as many as the cluster has room for."""

    def __init__(self, bundle: Any, digest: str, task: ClusterTask, roots: Sequence[tuple[str, str]]):
        import ray

        folder = unpack_bundle(ray.get(bundle), digest)
        self._predictor = load(folder, **asdict(task.engine), threads=1, registry=task.registry)
        self._options = task.options
        self._roots = roots

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The records of a table of ``path`` and ``bytes``; hidden files are left out."""
        import pyarrow as pa

        photos = []
        for path, content in zip(batch["path"].to_pylist(), batch["bytes"], strict=True):
            name, below = _named(path, self._roots)
            if not any(part.startswith(".") for part in below.split("/")):
                photos.append(NamedPhoto(name, content.as_py()))
        predictions = self._predictor.stream(photos, self._options)
        rows = [parquet_row(_with_name(prediction.to_json())) for prediction in predictions]
        return pa.Table.from_pylist(rows, parquet_schema())


@dataclass(frozen=True)
class _Root:
    """A path as it was ``given``, its file system, and the path ``inside`` of that."""

    given: str
    inside: str
    filesystem: Any

    @classmethod
    def of(cls, given: str) -> _Root:
        filesystem, inside = locate(given)
        return cls(given.rstrip("/"), inside.rstrip("/"), filesystem)


def _check_free(filesystem: Any, folder: str, out: str) -> None:
    import pyarrow.fs

    if filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True)):
        raise ConfigError(f"{out}: is not empty; choose another folder with --out, or empty it")


def _count(filesystem: Any, folder: str) -> RunTotals:
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    records = ds.dataset(folder, filesystem=filesystem, schema=parquet_schema(), format="parquet")
    return RunTotals(
        photos=records.count_rows(),
        unreadable=records.count_rows(filter=ds.field("error").is_valid()),
        failed_recommendations=records.count_rows(filter=pc.match_substring(ds.field("recommendation"), FAILED_RULE)),
    )


def _named(path: str, roots: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """A photo's name, which begins as its folder was given, and its path below that folder."""
    for given, inside in roots:
        if path == inside or path.startswith(inside + "/"):
            below = path[len(inside) :]
            return given + below, below.lstrip("/")
    return path, path


def _with_name(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the photo's name in its error, as where photos are read by their paths."""
    error = record["error"]
    if error is None:
        return record
    message = re.sub(r"^the photo(?=: )", lambda _: record["path"], error["message"])
    return {**record, "error": {**error, "message": message}}


def _packed(bundle: Path) -> dict[str, bytes]:
    files = (file for file in bundle.rglob("*") if file.is_file())
    return {file.relative_to(bundle).as_posix(): file.read_bytes() for file in files}


def _digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of names and contents, which names the folder of an unpacked bundle."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(b"%d %s %d " % (len(name), name.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def unpack_bundle(files: Mapping[str, bytes], digest: str) -> Path:
    """The folder of a bundle from its files by name, written once per machine.

    :raises DataError: it cannot be written there.
    """
    folder = cache_dir() / "bundles" / digest
    if folder.is_dir():
        return folder
    try:
        with whole_folder(folder) as scratch:
            for name, content in files.items():
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(content)
    except OSError as error:
        if not folder.is_dir():  # else another worker was faster
            raise DataError(f"{folder}: the bundle cannot be unpacked: {error.strerror or error}") from error
    return folder


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
