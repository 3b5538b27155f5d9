"""The settings of training, immutable and validated. Every default is defined here alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hierpets.errors import shown
from hierpets.hierarchy.early import MAX_EARLY
from hierpets.hierarchy.policy import DEFAULT_ALPHA
from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.validation.strict import ONE_IS_A_LIST, StrictModel

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
]

Levels = Literal["species", "species,breed"]
# Simplest first: recipe auto takes the first of those between which it sees no difference.
View = Literal["plain", "flip", "crops"]
HeadKind = Literal["lda", "logistic", "blend"]
FinetunePrecision = Literal["auto", "f32", "bf16", "f16"]
Balance = Literal["sample", "loss_weight"]
Alpha = Annotated[float, Field(ge=0, le=1)]

DEFAULT_BACKBONE = "efficientnet_lite2"
CONFIG_FILE, BUNDLE_FOLDER = "config.yaml", "bundle"  # within a run folder


class FinetuneConfig(StrictModel):
    """How the whole network is fine-tuned, starting from fitted linear heads."""

    epochs: int = Field(
        default=8, ge=1, description="maximum number of epochs; each draws as many photos as the training set has"
    )
    batch_size: int = Field(default=32, ge=1, description="photos per step, over all processes")
    learning_rate: float = Field(default=1e-4, gt=0, description="learning rate of the backbone's last layer, AdamW")
    head_learning_rate: float = Field(default=1e-4, gt=0, description="learning rate of the heads, AdamW")
    layer_decay: float = Field(
        default=0.3, gt=0, le=1, description="learning rate of the backbone's first layer, relative to its last"
    )
    trainable_fraction: float = Field(
        default=0.5, ge=0, le=1, description="fraction of the backbone's layers to train, counted from the output"
    )
    weight_decay: float = Field(default=0.02, ge=0, description="weight decay of matrices and filters, AdamW")
    warmup_epochs: float = Field(default=0.5, ge=0, description="epochs over which the learning rate rises")
    max_gradient_norm: float = Field(default=5.0, gt=0, description="L2 norm that the gradient is clipped to")
    ema_decay: float = Field(
        default=0.95, ge=0, lt=1, description="decay per step of the exponential moving average of the weights"
    )
    patience: int = Field(default=3, ge=1, description="epochs without a better validation score before training stops")
    balance: Balance = Field(
        default="sample", description="what the sampler's weights do: sample photos, or weight the loss"
    )
    interpolation: tuple[Alpha, ...] = Field(
        default=(0.25, 0.5, 0.75),
        description="shares of the way from the old weights to the fine-tuned ones to try (WiSE-FT), besides 0 and 1",
    )
    precision: FinetunePrecision = Field(
        default="auto",
        description="number format of the forward pass; auto: bf16 if the hardware supports it, else f16 on a GPU and "
        "f32 on a CPU",
    )
    compile: bool = Field(
        default=False, description="compile the network with torch.compile: minutes at first, then faster steps"
    )
    checkpoint_minutes: float = Field(
        default=10.0, ge=0, description="minutes between checkpoints within an epoch; 0: after every step"
    )
    workers: int | None = Field(
        default=None, ge=0, description="threads that decode photos; 0: the main thread; default: one per core"
    )


class HeadSpec(StrictModel):
    """How the breed heads are fitted."""

    kind: HeadKind = Field(default="lda", description="shrinkage LDA, logistic regression, or the mean of both")
    shrinkage: float = Field(
        default=0.4, ge=0, le=1, description="shrinkage of the covariance towards the identity, for lda and blend"
    )
    c: float = Field(default=0.01, gt=0, description="inverse of the L2 penalty, for logistic and blend")

    def __str__(self) -> str:
        names = {
            "lda": f"LDA, shrinkage {self.shrinkage:g}",
            "logistic": f"logistic, C {self.c:g}",
            "blend": f"mean of LDA, shrinkage {self.shrinkage:g}, and logistic, C {self.c:g}",
        }
        return names[self.kind]


class BackboneChoice(StrictModel):
    """A backbone plugin with its options. A plain string is accepted as its name."""

    name: str = Field(description="name of the plugin")
    options: dict[str, Any] = Field(default={}, description="options of the plugin")
    weights: Path | None = Field(default=None, description="folder of tuned weights, see backbone_weights")

    @model_validator(mode="before")
    @classmethod
    def _a_name_is_enough(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    def __str__(self) -> str:
        tuned = ["tuned"] if self.weights else []
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options.items()), *tuned])

    def weights_file(self, fold: int | None = None) -> Path | None:
        """Return the file of the weights tuned on all photos, or on all but ``fold``; None for the plugin's own."""
        name = "all" if fold is None else f"fold{fold}"
        return self.weights / f"{name}.safetensors" if self.weights else None


@dataclass(frozen=True)
class FrozenChoice:
    """A backbone, the views that its features are averaged over, and the heads that are fitted to them."""

    backbone: BackboneChoice
    view: View
    head: HeadSpec

    def __str__(self) -> str:
        return f"{self.backbone}, {self.view} features, {self.head}"


class AutoConfig(StrictModel):
    """What recipe ``auto`` compares, and how long it may fine-tune."""

    backbones: tuple[BackboneChoice, ...] = Field(
        default=(
            BackboneChoice(name="efficientnet_lite0"),
            BackboneChoice(name="efficientnet_lite2"),
            BackboneChoice(name="efficientnet_lite2", options={"size": 320, "crop": 1.0}),
            BackboneChoice(name="efficientnet_lite_pair"),
        ),
        min_length=1,
        description="backbones to compare if backbone is not set",
    )
    views: tuple[View, ...] = Field(default=("plain", "flip"), min_length=1, description="views to compare, see view")
    heads: tuple[HeadSpec, ...] = Field(
        default=(
            HeadSpec(shrinkage=0.2),
            HeadSpec(shrinkage=0.4),
            HeadSpec(shrinkage=0.6),
            HeadSpec(kind="logistic", c=0.01),
            HeadSpec(kind="logistic", c=0.1),
            HeadSpec(kind="blend"),
        ),
        min_length=1,
        description="breed heads to compare, see head",
    )
    stress: bool = Field(
        default=True,
        description="judge candidates half by photos as they are, half by the same corrupted as in the stress test",
    )
    early: bool = Field(
        default=True, description="ask a cheaper backbone before the best one if that saves time and loses no accuracy"
    )
    finetune_minutes: float = Field(
        default=5.0, ge=0, description="fine-tune only if it should take fewer minutes than this; 0: never"
    )


class TrainConfig(StrictModel):
    """All settings of ``hierpets train``, written to ``RUN/config.yaml``."""

    levels: Levels = Field(default="species,breed", description="what to learn: species, or species,breed")
    data: str = Field(
        default="demo",
        description="labeled photos: a folder, a CSV file, other sources (docs/data.md), or demo (synthetic images)",
    )
    out: Path = Field(default=Path("runs/latest"), description="run folder to write")
    registry: Path | None = Field(
        default=None, description="a registry.yaml with plugins; default: HIERPETS_REGISTRY, then the built-in one"
    )
    version: str | None = Field(default=None, description="version of the model, written to the bundle")
    backbone: str | None = Field(
        default=None,
        description=f"backbone plugin; if not set, auto compares several and other recipes use {DEFAULT_BACKBONE}",
    )
    backbone_options: dict[str, Any] = Field(default={}, description="options of the backbone plugin")
    backbone_weights: Path | None = Field(
        default=None,
        description="folder of weights of the backbone that were fine-tuned on these photos: all.safetensors, and "
        "fold0.safetensors and so on, tuned without that fold, for an unbiased cross-validation",
    )
    early: Annotated[tuple[BackboneChoice, ...], ONE_IS_A_LIST] = Field(
        default=(),
        max_length=MAX_EARLY,
        description="smaller backbones to ask before the main one, in this order, each a name or an object: each "
        "answers the photos that it is sure of; recipe auto tries those of auto.backbones, see auto.early",
    )
    recipe: Literal["auto", "heads", "finetune"] = Field(
        default="auto",
        description="how to train; auto: compare backbones and heads, then fine-tune if it helps; heads: linear heads "
        "on frozen features; finetune: heads, then the whole network",
    )
    head: HeadSpec = Field(default=HeadSpec(), description="breed heads; recipe auto compares auto.heads instead")
    view: View = Field(
        default="plain",
        description="features to fit heads to: of the photo, or averaged with its mirror image or four corner crops",
    )
    combiner: Combiner = Field(
        default="conditional", description="how species and breed logits become joint probabilities"
    )
    pretrained_breeds: bool = Field(
        default=False,
        description="add the breeds that only the backbone's pretrained head knows; it then names them without photos",
    )
    sampler: str = Field(default="breed_balanced", description="sampler plugin, which weights the training photos")
    sampler_options: dict[str, Any] = Field(default={}, description="options of the sampler plugin")
    trackers: Annotated[tuple[str, ...], ONE_IS_A_LIST] = Field(
        default=(), description="tracker plugins that hear every event; TensorBoard does, if it is installed"
    )
    prior: Prior = Field(
        default="uniform",
        description="class prior of predictions: uniform over species and over breeds within each, or as in the data",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="random seed, for the split as well")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="device to compute on; auto: a GPU if available"
    )
    cluster: str | None = Field(
        default=None,
        description="Ray cluster that computes the features: ray://HOST:PORT, or local to start Ray here; if not set, "
        "this process does",
    )
    val_fraction: float = Field(
        default=0.15, ge=0, lt=1, description="fraction of the photos to validate on if the data names no split"
    )
    folds: int = Field(default=5, ge=2, description="folds of the cross-validation on the training photos")
    find_individuals: bool = Field(
        default=True,
        description="hold out together photos of a class that are too alike to be of two animals, such as a burst; "
        "those whose individual the data states are in any case; not with backbone_weights, whose folds are given",
    )
    second_look: bool = Field(
        default=True,
        description="look again, closer to the animal, where it takes less than half of a photo that leaves doubt "
        "whether it shows a pet, and shows no breed that is more probable than not; a detector finds cats, dogs, "
        "birds, horses and five other animals",
    )
    strict: bool = Field(default=False, description="refuse photos that cannot be read, instead of skipping them")
    quantize: bool = Field(
        default=True,
        description="compute in int8 on CPUs if validation photos show that accuracy falls by less than 0.3 points; "
        "needs 100 of them and the extra export",
    )
    alpha: float = Field(default=DEFAULT_ALPHA, gt=0, lt=1, description="target error rate of the predictions")
    auto: AutoConfig = Field(default=AutoConfig(), description="settings of recipe auto")
    finetune: FinetuneConfig = Field(default=FinetuneConfig(), description="settings of fine-tuning")

    @field_validator("version", mode="before")
    @classmethod
    def _no_number(cls, given: Any) -> Any:
        if isinstance(given, int | float | date):  # YAML has turned 1.10 into 1.1 already
            quoted = """version: "1.0", or --set 'version="1.0"'"""
            raise ValueError(f"expected text, got {shown(given)}; YAML takes it for text in quotes: {quoted}")
        return given

    @field_validator("out", mode="before")
    @classmethod
    def _somewhere(cls, given: Any) -> Any:
        if given == "":  # would mean the current folder
            raise ValueError("expected a path, got ''")
        return given

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_in_any_order(cls, given: Any) -> Any:
        words = {word.strip() for word in str(given).split(",") if word.strip()}
        if words not in ({"species"}, {"species", "breed"}):
            raise ValueError(f"expected species or species,breed, got {given!r}")
        return "species,breed" if "breed" in words else "species"

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> TrainConfig:
        if self.recipe == "auto":
            if self.backbone is None and self.backbone_options:
                raise ValueError("backbone_options: recipe auto compares several backbones; set backbone to use one")
            if self.backbone_weights is not None:
                raise ValueError("backbone_weights: recipe auto compares backbones as they are; use recipe heads")
            if any(one.weights for one in self.auto.backbones):
                raise ValueError("auto.backbones: recipe auto compares backbones as they are; use recipe heads")
            if self.early:
                raise ValueError("early: recipe auto chooses early backbones itself; use recipe heads")
            for name in ("head", "view"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name}: recipe auto compares auto.{name}s; set those, or use recipe heads")
        return self

    @property
    def backbone_choice(self) -> BackboneChoice:
        """The backbone for recipes that do not compare several."""
        return BackboneChoice(
            name=self.backbone or DEFAULT_BACKBONE, options=self.backbone_options, weights=self.backbone_weights
        )

    @property
    def candidate_backbones(self) -> tuple[BackboneChoice, ...]:
        """The backbones that the recipe uses."""
        if self.recipe == "auto" and self.backbone is None:
            return self.auto.backbones
        return (self.backbone_choice,)

    def absolute(self) -> TrainConfig:
        """Return the same settings with absolute paths."""
        changes: dict[str, Any] = {"out": self.out.resolve(), "registry": self.registry and self.registry.resolve()}
        changes["backbone_weights"] = self.backbone_weights and self.backbone_weights.resolve()
        changes["early"] = tuple(
            one.model_copy(update={"weights": one.weights and one.weights.resolve()}) for one in self.early
        )
        if Path(self.data).exists():
            changes["data"] = str(Path(self.data).resolve())
        return self.model_copy(update=changes)
