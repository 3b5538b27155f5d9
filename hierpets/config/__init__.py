"""The settings of training, and how they are read."""

from hierpets.config.reading import change_config, read_config
from hierpets.config.settings import (
    BUNDLE_FOLDER,
    CONFIG_FILE,
    DEFAULT_BACKBONE,
    AutoConfig,
    BackboneChoice,
    Balance,
    FinetuneConfig,
    FinetunePrecision,
    FrozenChoice,
    HeadKind,
    HeadSpec,
    TrainConfig,
    View,
)

__all__ = [
    "BUNDLE_FOLDER",
    "CONFIG_FILE",
    "DEFAULT_BACKBONE",
    "AutoConfig",
    "BackboneChoice",
    "Balance",
    "FinetuneConfig",
    "FinetunePrecision",
    "FrozenChoice",
    "HeadKind",
    "HeadSpec",
    "TrainConfig",
    "View",
    "change_config",
    "read_config",
]
