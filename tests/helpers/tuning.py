"""A fine-tuning that takes a second: a tiny network on tiny colored squares.

``torchrun tuning.py FOLDER SETTINGS`` is one run of several processes, without dropout: each would draw its own.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from helpers.fakes import TAXONOMY
from hierpets.config import TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.hierarchy.calibration import Temperatures
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Guard, Preprocess
from hierpets.progress import Progress, no_progress
from hierpets.training.distributed import join_distributed
from hierpets.training.finetuning import finetune as finetuning
from hierpets.training.finetuning.checkpoint import check_same, describe_run, read_checkpoint
from hierpets.training.finetuning.finetune import finetune
from hierpets.training.finetuning.loop import FinetuneResult
from hierpets.training.run.folder import Listener, open_run
from hierpets.training.run.trackers import broadcast
from hierpets.training.splits import Splits

PREPROCESS = Preprocess(size=32, crop=1.0)
FAST = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 3e-2,  # two epochs are clearly better than the start
    "head_learning_rate": 1e-1,
    "precision": "f32",
    "patience": 9,
    "ema_decay": 0.5,
    "trainable_fraction": 1.0,
    "layer_decay": 0.1,
}


def squares(folder: Path, *, per_leaf: int = 5, without_breed: int = 2, seed: int = 0) -> PhotoIndex:
    """Noisy squares, one color a leaf, and some of the first species without a breed: ``folder/photos-SEED/...``."""
    generator = np.random.default_rng(seed)
    colors = np.random.default_rng(99).integers(40, 215, size=(len(TAXONOMY.leaves), 3))
    labels = [leaf for leaf in range(len(TAXONOMY.leaves)) for _ in range(per_leaf)]
    records = []
    for number, leaf in enumerate([*labels, *([0] * without_breed)]):
        species, breed = TAXONOMY.leaves[leaf]
        breed = breed if number < len(labels) else None
        path = folder / f"photos-{seed}" / species / (breed or "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = generator.normal(scale=25, size=(36, 36, 3))
        cv2.imwrite(str(path), (colors[leaf] + noise).clip(0, 255).astype(np.uint8))
        records.append(PhotoRecord(str(path), species, breed))
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
    temperatures: Temperatures | None = None,
    guard: Guard = nullcontext,
    listener: Listener | None = None,
    progress: Progress = no_progress,
    device: str = "cpu",
    settings: dict[str, Any] | None = None,
    **config: Any,
) -> FinetuneResult:
    """Fine-tune into ``folder``, on photos drawn there where none are given."""
    train = squares(folder, seed=0) if train is None else train
    val = squares(folder, per_leaf=3, seed=1) if val is None else val
    weights = np.ones(len(train)) if weights is None else weights
    splits = Splits(source=train, train=train, val=val, labels=train.labels(), weights=weights)
    whole = TrainConfig(out=folder / "run", finetune=FAST | (settings or {}), **config)
    with open_run(whole.out, resume=resume, overwrite=not resume, progress=progress) as run:
        run.listener = broadcast(listener)
        checkpoint = read_checkpoint(run.checkpoint) if resume else None
        if checkpoint is not None:
            check_same(checkpoint.settings, describe_run(whole, splits), run.checkpoint)
        elif not resume:
            run.clear()
        return finetune(
            network or tiny_network(),
            splits,
            preprocess=PREPROCESS,
            config=whole,
            run=run,
            device=device,
            checkpoint=checkpoint,
            temperatures=temperatures or Temperatures(),
            guard=guard,
        )


def win_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fine-tuning takes no time, changes the backbone a little, and is better than what was there."""

    def barely(network: HierarchicalNetwork, *_: Any, **__: Any) -> SimpleNamespace:
        network = deepcopy(network)
        for parameter in network.backbone.parameters():
            parameter.data *= 1.01
        return SimpleNamespace(
            alpha=1.0,
            won=True,
            network=network,
            start=SimpleNamespace(accuracy=0.5),
            best=SimpleNamespace(accuracy=0.6),
        )

    monkeypatch.setattr(finetuning, "finetune", barely)


def tune_alone(folder: Path, settings: dict[str, Any], *, resume: bool = False) -> None:
    """What a process of its own does, to be killed. Writes ``folder/final.pt`` at the end."""
    torch.set_num_threads(1)
    result = tune(folder, resume=resume, settings=settings)
    torch.save(result.network.state_dict(), folder / "final.pt")


def tune_together(folder: Path, settings: dict[str, Any]) -> None:
    """What each process of torchrun does; the photos are there. The main one writes ``folder/final.pt``."""
    torch.set_num_threads(1)
    with join_distributed("cpu") as context:
        train, val = read_index(folder / "photos-0"), read_index(folder / "photos-1")
        result = tune(folder, train=train, val=val, network=tiny_network(dropout=0), settings=settings)
        if context.is_main:
            torch.save(result.network.state_dict(), folder / "final.pt")


if __name__ == "__main__":
    tune_together(Path(sys.argv[1]), json.loads(sys.argv[2]))
