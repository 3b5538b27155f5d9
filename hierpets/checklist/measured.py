"""``RUN/measured.json``: what the checklist cannot read from other files and measures."""

from __future__ import annotations

from pydantic import Field

from hierpets.bundle.identity import ModelId
from hierpets.planning.result import PretrainedGain
from hierpets.validation.strict import StrictModel

__all__ = ["MEASURED_FILE", "EngineGap", "RunMeasurements"]

MEASURED_FILE = "measured.json"


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
