"""What must lie ready before peers meet; each step is a process of its own.

python -m tools.peers.prepare split --data DIR --photos N --out FOLDER      in hierpets' environment
python -m tools.peers.prepare carry --bundle BUNDLE --out FOLDER            in hierpets' environment
python -m tools.peers.prepare enlarge --photos N --out FOLDER               in hierpets' environment
python -m tools.peers.prepare convert --out FOLDER                          in the peers' environment
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

LARGE = (4000, 3000)  # 12 megapixels, as phones take them
MOST_HELD_OUT = 0.5


def split(data: str, photos: int, out: Path) -> None:
    """Hold photos out, label by label: ``photos.json`` has their paths and labels.

    ``data.csv`` says what to train on, ``seen`` holds links to the same photos as SPECIES/BREED/photo.
    """
    from hierpets.data.index import read_index, split_index
    from hierpets.data.photos import read_photo

    index = read_index(data)
    held_out = min(photos / len(index), MOST_HELD_OUT)
    index = split_index(index, seed=0, val=0.0, test=held_out)
    with (out / "data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "species", "breed", "split"])
        writer.writerows([str(Path(r.path).resolve()), r.species, r.breed or "", r.split] for r in index.records)
    for n, record in enumerate(index.subset("train").records):
        link = out / "seen" / record.species / (record.breed or "-") / f"{n:06}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(record.path).resolve())
    kept = []
    for record in index.subset("test").records:
        # A few files of the dataset are PNG or GIF under a .jpg name, which not every contestant reads.
        if Path(record.path).read_bytes()[:2] == b"\xff\xd8":
            read_photo(record.path)
            kept.append((str(Path(record.path).resolve()), f"{record.species}/{record.breed or '-'}"))
    (out / "photos.json").write_text(json.dumps(kept))


def carry(bundle: Path, out: Path) -> None:
    """The backbone's very weights and the heads with their temperatures, for :func:`network.build_network`."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from hierpets.model.manifest import read_manifest
    from hierpets.model.reader import read_network
    from hierpets.registry.loading import load_registry

    manifest = read_manifest(bundle)
    network = read_network(bundle, manifest, load_registry())
    taxonomy, heads = manifest.taxonomy, network.get_heads()
    weights: dict[str, torch.Tensor] = dict(network.backbone.state_dict())
    columns = {
        "weight": (heads.species.weight, heads.leaf.weight),
        "bias": (heads.species.bias[:, None], heads.leaf.bias[:, None]),
    }
    for name, (species, leaf) in columns.items():
        # Temperatures divide logits [B, S] and [B, L]; turned on their side, the columns of weights are such logits.
        cooled = manifest.temperatures.apply(species.T, leaf.T, taxonomy)
        for head, values in zip(("species", "leaf"), cooled, strict=True):
            array = np.ascontiguousarray(np.asarray(values, np.float32).T)
            weights[f"classifier.{head}.{name}"] = torch.from_numpy(array.squeeze(1) if name == "bias" else array)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, out / "network.safetensors")
    pre = manifest.preprocess
    described: dict[str, Any] = {
        "labels": [f"{leaf.species}/{leaf.breed or '-'}" for leaf in taxonomy.leaves],
        "slices": [(part.start, part.stop) for part in taxonomy.slices],
        "size": pre.size,
        "shorter_side": pre.shorter_side,
        "mean": list(pre.mean),
        "std": list(pre.std),
    }
    (out / "carried.json").write_text(json.dumps(described))


def enlarge(photos: int, out: Path) -> None:
    """The first photos held out, spread over all of them, as JPEGs of 12 megapixels in ``out/large``."""
    import cv2

    from hierpets.data.photos import read_photo

    paths = [path for path, _ in json.loads((out / "photos.json").read_text())]
    folder = out / "large"
    folder.mkdir()
    for n, path in enumerate(paths[:: max(1, len(paths) // photos)][:photos]):
        photo = read_photo(path)
        size = LARGE if photo.shape[1] >= photo.shape[0] else LARGE[::-1]
        large = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{n:04}.jpg"), large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def convert(out: Path) -> None:
    """The network as ONNX, and as an exported learner of fastai."""
    import torch

    from tools.peers.fastai_side import export_learner
    from tools.peers.network import build_network, read_carried

    carried, network = read_carried(out), build_network(out)
    example = torch.zeros(2, 3, carried.size, carried.size)
    torch.onnx.export(
        network,
        (example,),
        str(out / "model.onnx"),
        input_names=["images"],
        output_names=["joint"],
        dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
    )
    export_learner(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["split", "carry", "enlarge", "convert"])
    parser.add_argument("--data")
    parser.add_argument("--photos", type=int)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    match given.step:
        case "split":
            split(given.data, given.photos, given.out)
        case "carry":
            carry(given.bundle, given.out)
        case "enlarge":
            enlarge(given.photos, given.out)
        case "convert":
            convert(given.out)


if __name__ == "__main__":
    main()
