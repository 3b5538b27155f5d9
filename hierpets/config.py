"""The settings of training: frozen, checked, every problem told at once. The one home of every default."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierpets.errors import ConfigError, did_you_mean
from hierpets.hierarchy.policy import DEFAULT_ALPHA
from hierpets.hierarchy.probabilities import Combiner

__all__ = [
    "LEVELS",
    "AutoConfig",
    "BackboneChoice",
    "Balance",
    "FinetuneConfig",
    "HeadSpec",
    "Precision",
    "TrainConfig",
    "parse_levels",
    "read_config",
]

Levels = Literal["species", "species,breed"]
Precision = Literal["auto", "f32", "bf16"]
Balance = Literal["draw", "weigh"]
Share = Annotated[float, Field(ge=0, le=1)]
LEVELS: tuple[Levels, ...] = ("species", "species,breed")


DEFAULT_BACKBONE = "efficientnet_lite2"


class Settings(BaseModel):
    """Frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FinetuneConfig(Settings):
    """How the whole network is trained from the closed-form heads."""

    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=32, ge=1, description="photos a step, over all processes")
    learning_rate: float = Field(default=1e-4, gt=0, description="of the backbone's last layer")
    head_learning_rate: float = Field(default=1e-4, gt=0)
    layer_decay: float = Field(default=0.3, gt=0, le=1, description="rate of the first layer over that of the last")
    trainable_fraction: float = Field(default=0.5, ge=0, le=1, description="share of the layers, from the output back")
    weight_decay: float = Field(default=0.02, ge=0)
    warmup_epochs: float = Field(default=0.5, ge=0)
    max_gradient_norm: float = Field(default=5.0, gt=0)
    ema_decay: float = Field(default=0.95, ge=0, lt=1)
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


class HeadSpec(Settings):
    """How the breed heads are fitted: LDA with a share of shrinkage, logistic regression with its C, or their mean."""

    kind: Literal["lda", "logistic", "blend"] = "lda"
    shrinkage: float = Field(default=0.4, ge=0, le=1)
    c: float = Field(default=0.01, gt=0)

    def __str__(self) -> str:
        names = {
            "lda": f"LDA, shrinkage {self.shrinkage:g}",
            "logistic": f"logistic, C {self.c:g}",
            "blend": f"mean of LDA, shrinkage {self.shrinkage:g}, and logistic, C {self.c:g}",
        }
        return names[self.kind]


class BackboneChoice(Settings):
    """A backbone plugin and its options."""

    name: str
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


class AutoConfig(Settings):
    """What recipe ``auto`` compares, and how long it may fine-tune."""

    backbones: tuple[BackboneChoice, ...] = (
        BackboneChoice(name="efficientnet_lite0"),
        BackboneChoice(name="efficientnet_lite2"),
        BackboneChoice(name="efficientnet_lite2", options={"size": 320, "crop": 1.0}),
        BackboneChoice(name="efficientnet_lite_pair"),
    )
    views: tuple[Literal["plain", "flip", "crops"], ...] = ("plain", "flip")
    heads: tuple[HeadSpec, ...] = (
        HeadSpec(shrinkage=0.2),
        HeadSpec(shrinkage=0.4),
        HeadSpec(shrinkage=0.6),
        HeadSpec(kind="logistic", c=0.01),
        HeadSpec(kind="logistic", c=0.1),
        HeadSpec(kind="blend"),
    )
    finetune_minutes: float = Field(
        default=5.0, ge=0, description="fine-tune only where the estimate is below; 0: never"
    )


class TrainConfig(Settings):
    """All that decides what ``hierpets train`` does; written to ``RUN/config.yaml`` with nothing left open."""

    levels: Levels = "species,breed"
    data: str = "demo"
    out: Path = Path("runs/latest")
    registry: Path | None = None
    backbone: str | None = Field(default=None, description="None: recipe auto compares, the others take Lite2")
    backbone_options: dict[str, Any] = {}
    recipe: Literal["auto", "heads", "finetune"] = "auto"
    head: HeadSpec = HeadSpec()
    view: Literal["plain", "flip", "crops"] = "plain"
    combiner: Combiner = "conditional"
    sampler: str = "breed_balanced"
    sampler_options: dict[str, Any] = {}
    prior: Literal["uniform", "data"] = "uniform"
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    val_fraction: float = Field(default=0.15, ge=0, lt=1)
    folds: int = Field(default=5, ge=2)
    alpha: float = Field(default=DEFAULT_ALPHA, gt=0, lt=1)
    auto: AutoConfig = AutoConfig()
    finetune: FinetuneConfig = FinetuneConfig()

    @property
    def backbone_choice(self) -> BackboneChoice:
        """The one backbone of recipes that compare none."""
        return BackboneChoice(name=self.backbone or DEFAULT_BACKBONE, options=self.backbone_options)


def parse_levels(text: str) -> Levels:
    """``species`` or ``species,breed``, spaces and order forgiven."""
    given = {word.strip() for word in text.split(",") if word.strip()}
    for levels in LEVELS:
        if given == set(levels.split(",")):
            return levels
    raise ConfigError(f"--levels {text!r}: choose {' or '.join(LEVELS)}{did_you_mean(text, LEVELS)}")


def read_config(file: Path | None, overrides: dict[str, Any], assignments: Iterable[str] = ()) -> TrainConfig:
    """Defaults, then the YAML file, then the overrides that are not None, then ``key.subkey=value`` assignments.

    :raises ConfigError: naming every key that is unknown or out of range, with a suggestion.
    """
    settings = _read_yaml(file) if file is not None else {}
    settings |= {key: value for key, value in overrides.items() if value is not None}
    for assignment in assignments:
        _assign(settings, assignment)
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        where = f"{file}: " if file is not None else ""
        raise ConfigError("\n".join(where + _problem(item) for item in error.errors())) from error


def _assign(settings: dict[str, Any], assignment: str) -> None:
    """Set one value, read as YAML, at a dotted key."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {assignment!r}: expected KEY=VALUE, such as finetune.epochs=4")
    *path, last = key.strip().split(".")
    for part in path:
        inner = settings.get(part)
        settings[part] = dict(inner) if isinstance(inner, dict) else {}
        settings = settings[part]
    try:
        settings[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment!r}: the value is not YAML") from error


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
        parts: dict[str, type[Settings]] = {"finetune": FinetuneConfig, "auto": AutoConfig, "head": HeadSpec}
        model = parts.get(path[0], TrainConfig) if path else TrainConfig
        return f"{key}: unknown setting{did_you_mean(last, model.model_fields)}"
    return f"{key}: {item['msg']}, got {item['input']!r}"
