"""timm's own loop, as its inference.py runs it on a CPU: its loader and transform, two workers, the network eager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from timm.data import create_loader, create_transform, resolve_data_config

from tools.peers.network import build_network, read_carried
from tools.peers.torch_loop import Photos, open_photo, predict_batches

__all__ = ["load"]

BATCH, WORKERS = 256, 2  # the defaults of inference.py


class TimmSide:
    """The network and what timm says of its inputs."""

    def __init__(self, model: Path):
        self._labels, self._network = read_carried(model).labels, build_network(model)
        self._config = resolve_data_config({}, model=self._network)
        self._transform: Any = create_transform(**self._config)

    def one(self, path: str) -> str:
        batch = self._transform(open_photo(path)).unsqueeze(0)
        return predict_batches(self._network, [(batch, None)], self._labels)[0]

    def many(self, paths: Sequence[str]) -> list[str]:
        photos: Any = Photos(paths)
        loader = create_loader(
            photos,
            batch_size=BATCH,
            use_prefetcher=True,
            num_workers=WORKERS,
            device=torch.device("cpu"),
            **self._config,
        )
        return predict_batches(self._network, loader, self._labels)


def load(model: Path) -> TimmSide:
    return TimmSide(model)
