"""Features that the workers of a Ray cluster compute, of photos wherever they are, kept by the driver as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierpets.cache import SqliteStore
from hierpets.cluster import cluster_errors, cpus_a_worker, require_ray
from hierpets.data.content import content_key
from hierpets.errors import ImageError
from hierpets.model.manifest import BackboneSpec
from hierpets.plugin import Backbone, Preprocess
from hierpets.registry.loading import load_registry
from hierpets.training.features.cache import FeatureCache
from hierpets.training.features.extractor import FeatureExtractor, View

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ClusterExtractor", "ClusterFeatures", "cluster_digests"]

BATCH = 32  # photos that a worker gets at a time
ADVICE = "; what is finished is kept: mend this, then continue with --resume"


@dataclass(frozen=True)
class ClusterFeatures:
    """What workers need to know, and the ``folder`` of this machine where their features are kept."""

    address: str
    registry: Path
    spec: BackboneSpec
    preprocess: Preprocess
    device: str
    folder: Path


class ClusterExtractor(FeatureExtractor):
    """A frozen backbone that runs on the workers of the cluster that Ray is connected to.

    The driver reads no photo: features are kept by the photo's address rather than its content, in the folder of the
    run, so that a run that was stopped computes none again.
    """

    def __init__(self, backbone: Backbone, task: ClusterFeatures):
        super().__init__(backbone, task.device)
        self._task = task

    def _keys(self, paths: list[str]) -> list[str]:
        return paths

    def _open_cache(self, fingerprint: str) -> FeatureCache:
        return FeatureCache(self._task.folder, fingerprint, self._backbone.feature_dim, SqliteStore)

    def _compute(
        self, missing: list[tuple[str, str]], view: View, on_error: Callable[[str, str], None] | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        if not missing:
            return
        ray = require_ray()
        state = {name: tensor.cpu().numpy() for name, tensor in self._backbone.module.state_dict().items()}
        computed = _spread([path for path, _ in missing]).map_batches(
            FeatureWorker,
            fn_constructor_args=(self._task, ray.put(state), view),
            batch_size=BATCH,
            batch_format="pyarrow",
            num_cpus=cpus_a_worker(),
            num_gpus=1 if self._task.device == "cuda" else None,
            compute=ray.data.ActorPoolStrategy(min_size=1),
        )
        with cluster_errors(self._task.address, ADVICE):
            for table in computed.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield dict(_finished(table, on_error))


def cluster_digests(address: str, paths: Sequence[str]) -> set[str]:
    """The digests of photos, as workers of the cluster read them.

    :raises DataError: a worker fails.
    """
    digests = _spread(paths).map_batches(_digested, batch_size=BATCH, batch_format="pyarrow", num_cpus=cpus_a_worker())
    with cluster_errors(address, ADVICE):
        tables = digests.iter_batches(batch_size=None, batch_format="pyarrow")
        return {digest for table in tables for digest in table["digest"].to_pylist()}


def _spread(paths: Sequence[str]) -> Any:
    """A Ray data set with the column ``path``, in blocks of a batch."""
    return require_ray().data.from_items(
        [{"path": path} for path in paths], override_num_blocks=-(-len(paths) // BATCH)
    )


def _digested(batch: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.table({"digest": [content_key(path) for path in batch["path"].to_pylist()]})


def _finished(table: pa.Table, on_error: Callable[[str, str], None] | None) -> Iterator[tuple[str, np.ndarray]]:
    """Path and features of each row; ``on_error`` gets what could not be read, which raises without it."""
    for row in table.to_pylist():
        if row["error"] is None:
            yield row["path"], np.frombuffer(row["vector"], np.float32)
        elif on_error is None:
            raise ImageError(f"{row['path']}: {row['error']}")
        else:
            on_error(row["path"], row["error"])


class FeatureWorker:
    """The backbone on one core or GPU; Ray starts as many as the cluster has room for, and another where one dies."""

    def __init__(self, task: ClusterFeatures, state: Any, view: View):
        import ray
        import torch

        plugin = load_registry(task.registry).get("backbone", task.spec.name)
        backbone: Backbone = plugin.call_without_weights(**task.spec.options)
        # A copy: what Ray hands out is read-only.
        backbone.module.load_state_dict({name: torch.tensor(array) for name, array in ray.get(state).items()})
        backbone = replace(backbone, preprocess=task.preprocess)
        self._extractor, self._view = FeatureExtractor(backbone, task.device, threads=1), view

    def __call__(self, batch: pa.Table) -> pa.Table:
        """``path``, ``vector`` (float32 [D] as bytes) and ``error`` of a table of ``path``."""
        import pyarrow as pa

        paths = batch["path"].to_pylist()
        errors: dict[str, str] = {}
        found = self._extractor.compute(paths, self._view, errors.__setitem__)
        vectors = [found[path].tobytes() if path in found else None for path in paths]
        columns = {"path": paths, "vector": vectors, "error": [errors.get(path) for path in paths]}
        return pa.table(columns, pa.schema([("path", pa.string()), ("vector", pa.binary()), ("error", pa.string())]))
