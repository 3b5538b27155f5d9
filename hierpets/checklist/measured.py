"""``RUN/measured.json``: what the checklist knows only after computing it."""

from __future__ import annotations

from pydantic import Field

from hierpets.model.manifest import ModelId
from hierpets.validation.strict import StrictModel

__all__ = ["MEASURED_FILE", "EngineGap", "PretrainedGain", "RunMeasurements"]

MEASURED_FILE = "measured.json"


class PretrainedGain(StrictModel):
    """Balanced accuracy, out of fold, of the same heads on features of pretrained and of random weights."""

    level: str = Field(description="`species` or `breed`")
    photos: int
    pretrained: float
    random: float


class EngineGap(StrictModel):
    """How far a leaf's probability may move when another engine or batch size computes it."""

    photos: int
    largest: float = Field(description="the largest absolute difference of a probability")


class RunMeasurements(StrictModel):
    """The content of the file; what was not or could not be measured is None."""

    model: ModelId | None = Field(default=None, description="which model was measured")
    random_backbone: PretrainedGain | None = None
    skipped: str | None = Field(default=None, description="why there is no random backbone to compare with")
    engines: EngineGap | None = None
