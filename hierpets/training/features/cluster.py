"""Compute features on the workers of a Ray cluster; the driver stores them as they arrive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierpets.bundle.manifest import BackboneSpec
from hierpets.cache import SqliteStore
from hierpets.cluster import cluster_errors, map_on_workers, require_ray
from hierpets.data.content import digest, read_content
from hierpets.data.photos import Photo
from hierpets.errors import ImageError
from hierpets.plugin import Backbone, Preprocess
from hierpets.registry.loading import load_registry
from hierpets.training.features.cache import FeatureCache
from hierpets.training.features.digests import PhotoDigests
from hierpets.training.features.extractor import FeatureExtractor, View, Work

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ClusterExtractor", "ClusterFeatures"]

BATCH = 32  # photos that a worker gets at a time


@dataclass(frozen=True)
class ClusterFeatures:
    """What workers need to compute features, and the ``folder`` on the driver where these are stored."""

    address: str
    registry: Path
    spec: BackboneSpec
    preprocess: Preprocess
    device: str
    folder: Path


class ClusterExtractor(FeatureExtractor):
    """A frozen backbone that runs on the workers of the cluster that Ray is connected to.

    The driver reads no photos. So features are stored by the photo's address, not its content, and in the run folder,
    where a resumed run finds them. Beside them are digests of the photos, which the workers compute from the bytes that
    they read.
    """

    def __init__(self, backbone: Backbone, task: ClusterFeatures):
        super().__init__(backbone, task.device)
        self._task = task

    @cached_property
    def _state(self) -> Any:
        """A reference to the weights in Ray's object store, shared by all jobs."""
        return require_ray().put({name: t.cpu().numpy() for name, t in self._backbone.module.state_dict().items()})

    def _keys(self, paths: list[str]) -> list[str]:
        return [os.fsencode(path).hex() for path in paths]  # a file name may not be valid text

    def _digests(self, paths: Sequence[str], keys: list[str]) -> list[str]:
        with closing(PhotoDigests(self._task.folder)) as digests:
            return digests.get(paths)

    def _open_cache(self) -> FeatureCache:
        return FeatureCache(self._task.folder, self._backbone.feature_dim, SqliteStore)

    def _compute(
        self, works: Sequence[Work], on_error: Callable[[Work, str], None] | None
    ) -> Iterator[dict[int, np.ndarray]]:
        if not works:
            return
        ray = require_ray()
        views = list(dict.fromkeys(work.view for work in works))
        rows = [
            {"row": row, "path": os.fsencode(work.path), "view": views.index(work.view)}
            for row, work in enumerate(works)
        ]
        computed = map_on_workers(
            ray.data.from_items(rows, override_num_blocks=-(-len(rows) // BATCH)),
            FeatureWorker,
            (self._task, self._state),
            key=self._fingerprint,
            device=self._task.device,
            batch_size=BATCH,
            given={"views": views},
        )
        with cluster_errors(self._task.address), closing(PhotoDigests(self._task.folder)) as digests:
            for table in computed.iter_batches(batch_size=None, batch_format="pyarrow"):
                computed_rows = table.to_pylist()
                digests.put({works[row["row"]].path: row["digest"] for row in computed_rows})
                yield dict(_finished(computed_rows, works, on_error))


def _finished(
    rows: Sequence[dict[str, Any]], works: Sequence[Work], on_error: Callable[[Work, str], None] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index and features of each readable row; pass errors to ``on_error``, or raise them without it."""
    for row in rows:
        if row["error"] is None:
            yield row["row"], np.frombuffer(row["vector"], np.float32)
        elif on_error is None:
            raise ImageError(f"{works[row['row']].path}: {row['error']}")
        else:
            on_error(works[row["row"]], row["error"])


class FeatureWorker:
    """A worker that runs the backbone on one core or GPU."""

    def __init__(self, task: ClusterFeatures, state: Any):
        import ray
        import torch

        plugin = load_registry(task.registry).get("backbone", task.spec.name)
        backbone: Backbone = plugin.call_without_weights(**task.spec.options)
        # A copy: arrays from Ray are read-only.
        weights = {name: torch.tensor(array) for name, array in ray.get(state).items()}
        backbone.module.load_state_dict(weights)
        backbone = replace(backbone, preprocess=task.preprocess)
        self._extractor = FeatureExtractor(backbone, task.device, threads=1)

    def __call__(self, batch: pa.Table, views: Sequence[View]) -> pa.Table:
        """Compute the features of a batch.

        The batch has columns ``row``, ``path`` and ``view``, an index into ``views``. The result has columns ``row``,
        ``digest`` of the photo, ``vector`` (float32 [D] as bytes) and ``error``; one of the last two is null.
        """
        import pyarrow as pa

        rows, paths = batch["row"].to_pylist(), list(map(os.fsdecode, batch["path"].to_pylist()))
        contents = [read_content(path) for path in paths]
        # Without bytes, the path is read again, which raises the error, or draws a synthetic photo.
        photos: list[Photo] = [content or path for content, path in zip(contents, paths, strict=True)]
        errors: dict[int, str] = {}
        chosen = [views[number] for number in batch["view"].to_pylist()]
        found = self._extractor.compute(photos, chosen, errors.__setitem__)
        columns = {
            "row": rows,
            "digest": [digest(content, path) for content, path in zip(contents, paths, strict=True)],
            "vector": [found[number].tobytes() if number in found else None for number in range(len(rows))],
            "error": [errors.get(number) for number in range(len(rows))],
        }
        types = pa.int64(), pa.string(), pa.binary(), pa.string()
        return pa.table(columns, pa.schema(list(zip(columns, types, strict=True))))
