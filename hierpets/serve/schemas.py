"""The shapes of the API, for its description; the records themselves are those of ``docs/output.md``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hierpets.hierarchy.decision import Level, Source

__all__ = ["Capabilities", "FeedbackSaved", "ModelInfo", "ProblemDetails", "Record"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(Shape):
    label: str
    probability: float = Field(ge=0, le=1.000001)


class Candidate(Shape):
    species: str
    breed: str | None
    probability: float = Field(ge=0, le=1.000001)


class Failure(Shape):
    type: str
    message: str


class Record(Shape):
    """The answer for one photo, as `hierpets predict` gives it; `docs/output.md` says what each key holds."""

    path: str
    level: Level | None
    species: Answer | None
    breed: Answer | None
    top: list[Candidate]
    source: Source | None
    reason: str | None
    thresholds: dict[str, float | None]
    scores: dict[str, float] | None
    recommendation: dict[str, Any] | None
    error: Failure | None


class Capabilities(Shape):
    explain: bool
    feedback: bool
    recommend: bool


class ModelInfo(Shape):
    """What the server knows, runs and allows."""

    hierpets_version: str
    taxonomy: dict[str, list[str]]
    thresholds: dict[str, dict[str, float | None]] = Field(description="A species: what its answer must exceed.")
    combiner: str
    backbone: str
    input_size: int
    engine: str
    device: str
    training: dict[str, Any]
    capabilities: Capabilities
    limits: dict[str, float]


class FeedbackSaved(Shape):
    path: str = Field(description="Where the photo lies below the folder for feedback.")


class ProblemDetails(BaseModel):
    """RFC 9457. `type` points to the description of the problem on this page."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
