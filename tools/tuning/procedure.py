"""Settings for fine-tuning a released backbone, chosen on one fold (docs/experiments.md)."""

from __future__ import annotations

from dataclasses import dataclass

from hierpets.config import BackboneChoice, FinetuneConfig, HeadSpec

__all__ = ["ALPHA", "LOGISTIC", "PROCEDURES", "Procedure"]

ALPHA = 0.5
"""The WiSE-FT coefficient of the weights that are written: 0 is the start of training, 1 its end."""

LOGISTIC = HeadSpec(kind="logistic", c=0.03)
SETTINGS = FinetuneConfig(
    epochs=20,
    batch_size=64,
    learning_rate=3e-4,
    head_learning_rate=3e-4,
    layer_decay=1.0,
    trainable_fraction=1.0,
    warmup_epochs=2.0,
    ema_decay=0.99,
    precision="bf16",
)


@dataclass(frozen=True)
class Procedure:
    """What is trained, and how. Views are ``train_size`` pixels wide, which may be less than in prediction: objects
    look larger in random crops than in whole photos (Touvron et al., "Fixing the train-test resolution discrepancy",
    2019).
    """

    backbone: BackboneChoice
    train_size: int
    settings: FinetuneConfig = SETTINGS
    head: HeadSpec = LOGISTIC
    label_smoothing: float = 0.1
    seed: int = 0


PROCEDURES = {
    "lite2": Procedure(BackboneChoice(name="efficientnet_lite2", options={"size": 288, "crop": 1.0}), train_size=256),
    "lite0": Procedure(BackboneChoice(name="efficientnet_lite0"), train_size=224),
}
