"""A fine-tuning that takes a second: a tiny network on tiny coloured squares. As a script, one process of a run:

python tuning.py FOLDER SETTINGS(JSON) [--resume] [--no-dropout]    writes FOLDER/final.pt
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from fakes import TAXONOMY

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Preprocess
from hierpets.training.finetune import FinetuneResult, finetune
from hierpets.training.processes import join_processes
from hierpets.training.run import Run

PREPROCESS = Preprocess(size=32, crop=1.0)
FAST = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "head_learning_rate": 3e-2,
    "precision": "f32",
    "patience": 9,
    "ema_decay": 0.5,
}


def squares(folder: Path, *, per_leaf: int = 5, without_breed: int = 2, seed: int = 0) -> PhotoIndex:
    """Noisy squares, one colour a leaf, and some of the first species without a breed."""
    generator = np.random.default_rng(seed)
    colours = np.random.default_rng(99).integers(40, 215, size=(len(TAXONOMY.leaves), 3))
    labels = [leaf for leaf in range(len(TAXONOMY.leaves)) for _ in range(per_leaf)]
    records = []
    for number, leaf in enumerate([*labels, *([0] * without_breed)]):
        species, breed = TAXONOMY.leaves[leaf]
        path = folder / f"{seed}-{number}.png"
        noise = generator.normal(scale=25, size=(36, 36, 3))
        cv2.imwrite(str(path), (colours[leaf] + noise).clip(0, 255).astype(np.uint8))
        records.append(PhotoRecord(str(path), species, breed if number < len(labels) else None))
    return PhotoIndex(TAXONOMY, tuple(records))


def tiny_network(seed: int = 0, *, dropout: float = 0.2) -> HierarchicalNetwork:
    """Two convolutions, BatchNorm with statistics of its own, dropout: all that a resumed run must get right."""
    torch.manual_seed(seed)
    norm = torch.nn.BatchNorm2d(8)
    norm.running_mean += 0.1
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        norm,
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.Dropout(dropout),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    return HierarchicalNetwork(backbone, 16, TAXONOMY)


def tune(
    folder: Path,
    *,
    train: PhotoIndex | None = None,
    val: PhotoIndex | None = None,
    weights: np.ndarray | None = None,
    network: HierarchicalNetwork | None = None,
    resume: bool = False,
    listener: Any = None,
    settings: dict[str, Any] | None = None,
    **config: Any,
) -> FinetuneResult:
    """Fine-tune into ``folder``, on photos drawn there where none are given."""
    folder.mkdir(parents=True, exist_ok=True)
    train = squares(folder, seed=0) if train is None else train
    val = squares(folder, per_leaf=3, seed=1) if val is None else val
    whole = TrainConfig(out=folder / "run", finetune=FAST | (settings or {}), **config)
    return finetune(
        network or tiny_network(),
        train,
        val,
        weights=np.ones(len(train)) if weights is None else weights,
        preprocess=PREPROCESS,
        config=whole,
        run=Run(whole, listener),
        device="cpu",
        resume=resume,
    )


def main(folder: Path, settings: dict[str, Any], *flags: str) -> None:
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    with join_processes("cpu") as processes:
        if processes.main:  # the photos are drawn once
            squares(folder, seed=0), squares(folder, per_leaf=3, seed=1)
        processes.wait()
        network = tiny_network(dropout=0.0 if "--no-dropout" in flags else 0.2)
        result = tune(folder, resume="--resume" in flags, network=network, settings=settings)
        if processes.main:
            torch.save(result.network.state_dict(), folder / "final.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:])
