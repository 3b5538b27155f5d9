"""What the loops of timm and of the torch tutorials share: a data set of paths and a pass over a loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

__all__ = ["Photos", "open_photo", "predict_batches"]


def open_photo(path: str) -> Image.Image:
    return Image.open(path).convert("RGB")


class Photos(Dataset):
    """``transform(photo), 0`` of each path; timm's loader sets the transform itself."""

    def __init__(self, paths: Sequence[str], transform: Callable[[Any], Any] | None = None):
        self._paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, n: int) -> tuple[Any, int]:
        assert self.transform is not None
        return self.transform(open_photo(self._paths[n])), 0


@torch.inference_mode()
def predict_batches(network: torch.nn.Module, batches: Iterable[Any], labels: Sequence[str]) -> list[str]:
    """The label of the largest output of each photo."""
    return [labels[n] for images, _ in batches for n in network(images).argmax(1).tolist()]
