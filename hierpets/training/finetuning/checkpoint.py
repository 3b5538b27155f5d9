"""Checkpoints: everything that fine-tuning needs to continue as if it had never stopped.

They are written atomically, and read without unpickling code.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.errors import ConfigError, first_line
from hierpets.files import whole_file
from hierpets.training.splits import Splits

__all__ = ["Checkpoint", "check_same", "describe_run", "describe_settings", "read_checkpoint", "write_checkpoint"]

# Settings that may change when a run is resumed, because the result does not depend on them. Of the data, only names
# and labels of photos count.
FREE = {"data", "out", "device", "registry", "cluster", "strict", "trackers"}
FREE_FINETUNE = {"workers", "checkpoint_minutes"}
PHOTOS = ("training photos", "validation photos")


@dataclass
class Checkpoint:
    """The state of a fine-tuning between two steps.

    ``epoch`` and ``step``, both from 0, are the next to run; together with the seed they determine the sampler's order,
    the augmentation, the learning rate and the random numbers of the step. ``loss`` is the sum so far in this epoch.
    ``best`` holds the weights of the best epoch, ``learner`` the network, moving average, initial weights and
    optimizer, and ``random`` the states of torch's generators, the CPU's first.
    """

    settings: dict[str, Any]
    epoch: int
    step: int
    loss: float
    history: list[dict[str, Any]]
    best: dict[str, torch.Tensor]
    learner: dict[str, Any]
    random: list[torch.Tensor] = field(default_factory=lambda: _random_states())

    def restore_random(self) -> None:
        """Restore torch's generators, for random numbers after training; each step seeds its own."""
        torch.set_rng_state(self.random[0])
        if torch.cuda.is_available() and len(self.random) - 1 == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(self.random[1:])


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint at ``path``; if killed at any moment, the old or the new one is there, complete."""
    with whole_file(path) as file:
        torch.save(checkpoint.__dict__, file)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read the checkpoint at ``path`` onto the CPU; None if there is none.

    :raises ConfigError: the file is not a complete checkpoint of this version.
    """
    if not path.is_file():
        return None
    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"{path}: not a checkpoint of this version ({first_line(error)}); train anew with overwrite"
        ) from error


def describe_run(config: TrainConfig, splits: Splits) -> dict[str, Any]:
    """Return all that determines the result: settings by dotted key, and hashes of the photos' names and labels."""
    photos = map(_describe_photos, (splits.train, splits.val))
    return describe_settings(config) | dict(zip(PHOTOS, photos, strict=True))


def describe_settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that determine the result, by dotted key."""
    flat = config.model_dump(mode="json", exclude=FREE | {"finetune"})
    finetune = config.finetune.model_dump(mode="json", exclude=FREE_FINETUNE)
    return flat | {f"finetune.{key}": value for key, value in finetune.items()}


def _describe_photos(photos: PhotoIndex) -> str:
    """Return a hash of file names and labels in order. Folders are left out, because data may move."""
    named = [[Path(r.path).name, r.species, r.breed] for r in photos.records]
    return hashlib.sha256(json.dumps([photos.taxonomy.tree, named]).encode()).hexdigest()[:16]


def check_same(then: dict[str, Any], now: dict[str, Any], where: Path) -> None:
    """Check that the settings ``now`` are those of ``then``, when the file ``where`` was written.

    :raises ConfigError: settings differ; the message names all of them.
    """
    # JSON has no tuples: compare what was stored with what would be stored.
    now = json.loads(json.dumps(now))
    differing = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if differing:
        lines = [_changed(key, then.get(key), now.get(key)) for key in differing]
        raise ConfigError(f"{where}: cannot resume: {'; '.join(lines)}; undo this, or train anew with overwrite")


def _changed(key: str, then: Any, now: Any) -> str:
    """Describe the change of a setting by its values, and that of photos without their hashes."""
    return f"{key} have changed" if key in PHOTOS else f"{key} was {then!r}, is {now!r}"


def _random_states() -> list[torch.Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
