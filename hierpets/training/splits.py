"""The photos of a run, split, labeled and weighted: input of every training step, changed by none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from hierpets.config import TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import check_trainable, split_index
from hierpets.data.records import PhotoIndex
from hierpets.errors import ConfigError, DataError
from hierpets.plugin import Labels
from hierpets.registry.loading import Registry
from hierpets.taxonomy import Taxonomy

__all__ = ["Splits", "prepare_index", "read_splits", "sample_weights", "split_source"]


@dataclass(frozen=True)
class Splits:
    """Training and validation photos, and the ``labels`` and sampler ``weights``, float [N], of the training photos.

    ``source`` holds all photos as they were read, also those of other splits, with the splits that the data states.
    """

    source: PhotoIndex
    train: PhotoIndex
    val: PhotoIndex
    labels: Labels
    weights: np.ndarray

    @property
    def taxonomy(self) -> Taxonomy:
        return self.train.taxonomy

    @property
    def joined(self) -> Splits:
        """Training and validation photos as one training part; the validation photos come last, with weight 0."""
        train = replace(self.train, records=self.train.records + self.val.records)
        weights = np.concatenate([self.weights, np.zeros(len(self.val))])
        return Splits(self.source, train, replace(self.val, records=()), train.labels(), weights)

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of training photos, validation photos, species and leaves, for the log and the manifest."""
        return {
            "train": len(self.train),
            "val": len(self.val),
            "species": len(self.taxonomy.species),
            "leaves": len(self.taxonomy.leaves),
        }


def read_splits(config: TrainConfig, registry: Registry) -> Splits:
    """Read the photos of ``config.data`` and split and weight them as configured.

    :raises DataError: no photos, or a class without training photos.
    :raises ConfigError: recipe ``finetune`` without validation photos.
    :raises PluginError: the sampler does not exist or fails.
    """
    return split_source(_read(config, registry), config, registry)


def split_source(source: PhotoIndex, config: TrainConfig, registry: Registry) -> Splits:
    """Split the photos of ``source``; those whose split the data states keep it.

    :raises DataError: a class without training photos.
    :raises ConfigError: recipe ``finetune`` without validation photos.
    :raises PluginError: the sampler does not exist or fails.
    """
    index = _split(source, config)
    train, val = index.subset("train"), index.subset("val")
    if config.recipe == "finetune" and not len(val):
        raise ConfigError("recipe finetune needs validation photos to know when to stop; set val_fraction above 0")
    if not len(val) and max(Counter(record.label for record in train.records).values()) < 2:
        raise DataError(
            "one photo of each class: none can be held out for calibration; add photos, at least two a class"
        )
    labels = train.labels()
    weights = sample_weights(labels, config, registry)
    return Splits(source=source, train=train, val=val, labels=labels, weights=weights)


def sample_weights(labels: Labels, config: TrainConfig, registry: Registry) -> np.ndarray:
    """Return the weights, float [N], that the configured sampler gives to N photos.

    :raises PluginError: the sampler does not exist or fails.
    """
    weights: np.ndarray = registry.get("sampler", config.sampler).call(labels, **config.sampler_options)
    return weights


def prepare_index(config: TrainConfig, registry: Registry) -> PhotoIndex:
    """Read the photos of ``config.data`` at the configured levels, and assign each to a split.

    :raises DataError: no photos, or a class without training photos.
    """
    return _split(_read(config, registry), config)


def _read(config: TrainConfig, registry: Registry) -> PhotoIndex:
    index = read_index(config.data, registry=registry)
    return index.without_breeds() if config.levels == "species" else index


def _split(source: PhotoIndex, config: TrainConfig) -> PhotoIndex:
    index = split_index(source, seed=config.seed, val=config.val_fraction)
    check_trainable(index, breeds=config.levels != "species")
    return index
