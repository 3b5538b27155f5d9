"""The settings of training: frozen, checked, every problem told at once. The one home of every default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierpets.errors import ConfigError, did_you_mean
from hierpets.hierarchy.probabilities import Combiner

__all__ = ["LEVELS", "Balance", "FinetuneConfig", "Precision", "TrainConfig", "parse_levels", "read_config"]

Levels = Literal["species", "species,breed"]
Precision = Literal["auto", "f32", "bf16"]
Balance = Literal["draw", "weigh"]
Share = Annotated[float, Field(ge=0, le=1)]
LEVELS: tuple[Levels, ...] = ("species", "species,breed")


class Settings(BaseModel):
    """Frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FinetuneConfig(Settings):
    """How the whole network is trained from the closed-form heads."""

    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=32, ge=1, description="photos a step, over all processes")
    learning_rate: float = Field(default=3e-5, gt=0, description="of the backbone's last layer")
    head_learning_rate: float = Field(default=3e-4, gt=0)
    layer_decay: float = Field(default=0.1, gt=0, le=1, description="rate of the first layer over that of the last")
    trainable_fraction: float = Field(default=1.0, ge=0, le=1, description="share of the layers, from the output back")
    weight_decay: float = Field(default=0.02, ge=0)
    warmup_epochs: float = Field(default=0.5, ge=0)
    max_gradient_norm: float = Field(default=5.0, gt=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    patience: int = Field(default=3, ge=1, description="epochs without a better validation score")
    balance: Balance = Field(default="draw", description="draw photos by the sampler's weights, or weigh their losses")
    species_loss_weight: float = Field(default=1.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0: off")
    distillation: float = Field(default=0.0, ge=0, description="weight of staying near the start's answers; 0: off")
    interpolation: tuple[Share, ...] = Field(
        default=(0.25, 0.5, 0.75), description="points between start and end to try"
    )
    precision: Precision = "auto"
    checkpoint_minutes: float = Field(default=10.0, ge=0, description="also within an epoch; 0: after every step")
    workers: int = Field(default=2, ge=0, description="threads that decode photos")


class TrainConfig(Settings):
    """All that decides what ``hierpets train`` does; written to ``RUN/config.yaml`` with nothing left open."""

    levels: Levels = "species,breed"
    data: str = "demo"
    out: Path = Path("runs/latest")
    registry: Path | None = None
    backbone: str = "efficientnet_lite0"
    backbone_options: dict[str, Any] = {}
    recipe: Literal["heads", "finetune"] = "heads"
    head: Literal["lda", "logistic"] = "lda"
    combiner: Combiner = "conditional"
    sampler: str = "breed_balanced"
    sampler_options: dict[str, Any] = {}
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    val_fraction: float = Field(default=0.15, ge=0, lt=1)
    folds: int = Field(default=5, ge=2)
    finetune: FinetuneConfig = FinetuneConfig()


def parse_levels(text: str) -> Levels:
    """``species`` or ``species,breed``, spaces and order forgiven."""
    given = {word.strip() for word in text.split(",") if word.strip()}
    for levels in LEVELS:
        if given == set(levels.split(",")):
            return levels
    raise ConfigError(f"--levels {text!r}: choose {' or '.join(LEVELS)}{did_you_mean(text, LEVELS)}")


def read_config(file: Path | None, overrides: dict[str, Any]) -> TrainConfig:
    """Defaults, then the YAML file, then the overrides that are not None.

    :raises ConfigError: naming every key that is unknown or out of range, with a suggestion.
    """
    settings = _read_yaml(file) if file is not None else {}
    settings |= {key: value for key, value in overrides.items() if value is not None}
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        where = f"{file}: " if file is not None else ""
        raise ConfigError("\n".join(where + _problem(item) for item in error.errors())) from error


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{file}: expected keys and values, got {type(content).__name__}")
    return content or {}


def _problem(item: Any) -> str:
    *path, last = [str(part) for part in item["loc"]]
    key = ".".join([*path, last])
    if item["type"] == "extra_forbidden":
        model = FinetuneConfig if path == ["finetune"] else TrainConfig
        return f"{key}: unknown setting{did_you_mean(last, model.model_fields)}"
    return f"{key}: {item['msg']}, got {item['input']!r}"
