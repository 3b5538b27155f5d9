"""The photos of a run, split, labeled and weighted: what every training step reads and none changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hierpets.config import TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import check_trainable, split_index
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.errors import ConfigError, DataError
from hierpets.plugin import Labels
from hierpets.registry.loading import Registry
from hierpets.taxonomy import Taxonomy

__all__ = ["Splits", "keep_photos", "prepare_index", "read_splits"]


@dataclass(frozen=True)
class Splits:
    """``labels`` and ``weights`` (float [N], from the sampler) are those of the N training photos."""

    train: PhotoIndex
    val: PhotoIndex
    labels: Labels
    weights: np.ndarray

    @property
    def taxonomy(self) -> Taxonomy:
        return self.train.taxonomy

    @property
    def sizes(self) -> dict[str, int]:
        """Photos of both parts, species and leaves: for the log and the manifest."""
        return {
            "train": len(self.train),
            "val": len(self.val),
            "species": len(self.taxonomy.species),
            "leaves": len(self.taxonomy.leaves),
        }


def read_splits(config: TrainConfig, registry: Registry) -> Splits:
    """The photos of ``config.data``, weighted by its sampler.

    :raises DataError: no photos, or a class without training photos.
    :raises ConfigError: recipe ``finetune`` without validation photos.
    :raises PluginError: the sampler does not exist or fails.
    """
    index = prepare_index(config, registry)
    return _weighed(index.subset("train"), index.subset("val"), config, registry)


def keep_photos(splits: Splits, kept: Callable[[PhotoRecord], bool], config: TrainConfig, registry: Registry) -> Splits:
    """The photos of both parts that are ``kept``, weighted anew.

    :raises DataError: a class is left without training photos.
    :raises ConfigError: recipe ``finetune`` is left without validation photos.
    """
    train, val = splits.train.where(kept), splits.val.where(kept)
    check_trainable(train, breeds=config.levels != "species")
    return _weighed(train, val, config, registry)


def _weighed(train: PhotoIndex, val: PhotoIndex, config: TrainConfig, registry: Registry) -> Splits:
    if config.recipe == "finetune" and not len(val):
        raise ConfigError("recipe finetune needs validation photos to know when to stop; set val_fraction above 0")
    if not len(val) and max(Counter(record.label for record in train.records).values()) < 2:
        raise DataError(
            "one photo of each class: none can be held out for calibration; add photos, at least two a class"
        )
    labels = train.labels()
    weights = registry.get("sampler", config.sampler).call(labels, **config.sampler_options)
    return Splits(train=train, val=val, labels=labels, weights=weights)


def prepare_index(config: TrainConfig, registry: Registry) -> PhotoIndex:
    """The photos of ``config.data``, at the configured levels, every one in a split.

    :raises DataError: no photos, or a class without training photos.
    """
    index = read_index(config.data, registry=registry)
    if config.levels == "species":
        index = index.without_breeds()
    index = split_index(index, seed=config.seed, val=config.val_fraction)
    check_trainable(index, breeds=config.levels != "species")
    return index
