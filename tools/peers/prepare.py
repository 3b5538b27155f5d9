"""Prepare the measurement of the peers: held-out photos, large photos, and the network in each format."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

from tools.peers.network import build_network, read_spec

__all__ = ["convert", "enlarge", "export_learner", "split"]

LARGE = (4000, 3000)  # 12 megapixels, as of phones
MAX_HELD_OUT = 0.5


def split(data: str, photos: int, out: str) -> list[tuple[str, str]]:
    """Hold out photos, stratified by label; return their paths and labels.

    Writes ``data.csv``, a list of all photos with their splits, and ``seen``, links to training photos as
    SPECIES/BREED/photo.
    """
    from hierpets.data.labeled.index import read_index
    from hierpets.data.labeled.split import split_index
    from hierpets.data.photos import read_photo

    index = read_index(data)
    index = split_index(index, seed=0, val=0.0, test=min(photos / len(index), MAX_HELD_OUT))
    with (Path(out) / "data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "species", "breed", "split"])
        writer.writerows([str(Path(r.path).resolve()), r.species, r.breed or "", r.split] for r in index.records)
    for n, record in enumerate(index.subset("train").records):
        link = Path(out) / "seen" / record.species / (record.breed or "-") / f"{n:06}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(record.path).resolve())
    held_out = []
    for record in index.subset("test").records:
        # A few files of the dataset are PNG or GIF under a .jpg name, which not every peer reads.
        if Path(record.path).read_bytes()[:2] == b"\xff\xd8":
            read_photo(record.path)
            held_out.append((str(Path(record.path).resolve()), f"{record.species}/{record.breed or '-'}"))
    return held_out


def enlarge(paths: list[str], photos: int, out: str) -> list[str]:
    """Write some of the photos, evenly spaced, as 12-megapixel JPEGs to the new folder ``out``; return their paths."""
    import cv2

    from hierpets.data.listing import evenly
    from hierpets.data.photos import read_photo

    folder, written = Path(out), []
    folder.mkdir()
    for n, path in enumerate(evenly(paths, photos)):
        photo = read_photo(path)
        size = LARGE if photo.shape[1] >= photo.shape[0] else LARGE[::-1]
        large = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
        written.append(str(folder / f"{n:04}.jpg"))
        cv2.imwrite(written[-1], large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return written


def convert(folder: str) -> None:
    """Write the network as ONNX."""
    import torch

    place = Path(folder)
    spec, network = read_spec(place), build_network(place)
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, spec.size, spec.size),),
        str(place / "model.onnx"),
        input_names=["images"],
        output_names=["joint"],
        dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
    )


def export_learner(folder: str, some: list[str]) -> None:
    """Export the network as ``learner.pkl``. fastai needs ``some`` photos for that, but does not save them."""
    from fastai.vision.all import (
        CategoryBlock,
        CropPad,
        CrossEntropyLossFlat,
        DataBlock,
        ImageBlock,
        Learner,
        Normalize,
        Resize,
    )

    place = Path(folder)
    spec = read_spec(place)
    crop = CropPad(spec.size)
    crop.order = Resize.order + 1  # fastai would crop first, at full size
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=spec.labels, sort=False)),
        get_items=_same,
        get_y=partial(_label, spec.labels[0]),
        item_tfms=[Resize(spec.shorter_side), crop],
        batch_tfms=[Normalize.from_stats(spec.mean, spec.std, cuda=False)],
    )
    loaders = block.dataloaders([Path(path) for path in some], bs=1, num_workers=0)
    Learner(loaders, build_network(place), loss_func=CrossEntropyLossFlat()).export(place.resolve() / "learner.pkl")


def _same(items: Any) -> Any:
    return items


def _label(label: str, _item: Any) -> str:
    """Return the same label for every photo: the export requires labels, predictions do not use them."""
    return label
