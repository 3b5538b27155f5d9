"""The loop of the torch tutorials: torchvision's transforms, a DataLoader with two workers, the network eager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.utils.data import DataLoader
from torchvision import transforms

from tools.peers.network import build_network, read_carried
from tools.peers.torch_loop import Photos, open_photo, predict_batches

__all__ = ["load"]

BATCH, WORKERS = 32, 2


class TorchvisionSide:
    """The network and the usual four transforms."""

    def __init__(self, model: Path):
        carried = read_carried(model)
        self._labels, self._network = carried.labels, build_network(model)
        self._transform = transforms.Compose(
            [
                transforms.Resize(carried.shorter_side),
                transforms.CenterCrop(carried.size),
                transforms.ToTensor(),
                transforms.Normalize(carried.mean, carried.std),
            ]
        )

    def one(self, path: str) -> str:
        batch = self._transform(open_photo(path)).unsqueeze(0)
        return predict_batches(self._network, [(batch, None)], self._labels)[0]

    def many(self, paths: Sequence[str]) -> list[str]:
        loader = DataLoader(Photos(paths, self._transform), batch_size=BATCH, num_workers=WORKERS)
        return predict_batches(self._network, loader, self._labels)


def load(model: Path) -> TorchvisionSide:
    return TorchvisionSide(model)
