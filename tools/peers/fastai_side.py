"""fastai: an exported learner, ``predict`` for one photo and ``get_preds`` for many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastai.vision.all import (
    CategoryBlock,
    CropPad,
    CrossEntropyLossFlat,
    DataBlock,
    ImageBlock,
    Learner,
    Normalize,
    Resize,
    load_learner,
)

from tools.peers.network import Carried, build_network, read_carried

__all__ = ["export_learner", "load", "photo_transforms"]

BATCH = 64  # fastai's default
LEARNER = "learner.pkl"


class FastaiSide:
    """A learner that was exported, with its progress bars off."""

    def __init__(self, model: Path):
        self._learner: Any = load_learner(model / LEARNER)
        self._learner.remove_cbs(self._learner.cbs.filter(lambda cb: type(cb).__name__ == "ProgressCallback"))
        self._labels = read_carried(model).labels

    def one(self, path: str) -> str:
        return str(self._learner.predict(path)[0])

    def many(self, paths: Sequence[str]) -> list[str]:
        photos = self._learner.dls.test_dl(list(paths), bs=BATCH)
        probabilities, _ = self._learner.get_preds(dl=photos)
        return [self._labels[n] for n in probabilities.argmax(1).tolist()]


def load(model: Path) -> FastaiSide:
    return FastaiSide(model)


def photo_transforms(carried: Carried) -> list[Any]:
    """The resize and the cut from the center that the network was made for."""
    crop = CropPad(carried.size)
    crop.order = Resize.order + 1  # fastai would cut first, at full size
    return [Resize(carried.shorter_side), crop]


def export_learner(model: Path) -> None:
    """Put the network into a Learner and export it. Its data are two photos, which fastai leaves out of the file."""
    import json

    carried = read_carried(model)
    some = [Path(path) for path, _ in json.loads((model / "photos.json").read_text())[:2]]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=carried.labels, sort=False)),
        get_items=_same,
        get_y=_LabelOf(carried.labels[0]),
        item_tfms=photo_transforms(carried),
        batch_tfms=[Normalize.from_stats(carried.mean, carried.std, cuda=False)],
    )
    loaders = block.dataloaders(some, bs=1, num_workers=0)
    learner = Learner(loaders, build_network(model), loss_func=CrossEntropyLossFlat())
    learner.export(model.resolve() / LEARNER)


def _same(items: Any) -> Any:
    return items


class _LabelOf:
    """Gives every photo one label: an export needs some, a prediction none."""

    def __init__(self, label: str):
        self._label = label

    def __call__(self, item: Any) -> str:
        return self._label
