"""The schemas of the API, except that of records, :class:`hierpets.inference.record.PredictionRecord`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from hierpets.bundle.identity import ModelId
from hierpets.inference.options import PredictOptions
from hierpets.validation.strict import StrictModel

__all__ = ["Capabilities", "FeedbackSaved", "ModelInfo", "ProblemDetails"]


class Capabilities(StrictModel):
    """What this server can do besides predicting."""

    explain: bool = Field(description="whether /v1/explain is available")
    feedback: bool = Field(description="whether /v1/feedback is available")
    regions: bool = Field(description="whether `regions=true` finds the animals in a photo")
    recommend: bool = Field(description="whether records recommend a shampoo")


class ModelInfo(StrictModel):
    """Which model the server runs, how, and what it allows."""

    hierpets_version: str = Field(description="version of hierpets")
    model: ModelId = Field(description="which model this is; every record names it too")
    taxonomy: dict[str, list[str]] = Field(description="the species, each with its breeds")
    thresholds: dict[str, dict[str, float | None]] = Field(description="by species, what a prediction must exceed")
    combiner: str = Field(description="how species and breed probabilities are combined")
    backbone: str = Field(description="the plugin that built the backbone")
    input_size: int = Field(description="side of the network's input, in pixels")
    engine: str = Field(description="what runs the network")
    device: str = Field(description="where it runs")
    precision: str = Field(description="number format")
    options: PredictOptions = Field(description="the default options of a prediction")
    training: dict[str, Any] = Field(description="how the model was trained")
    capabilities: Capabilities = Field(description="what this server can do besides predicting")
    limits: dict[str, float] = Field(description="the limits of a request")


class FeedbackSaved(StrictModel):
    """Where feedback was saved."""

    path: str = Field(description="path of the photo inside the feedback folder")


class ProblemDetails(BaseModel):
    """RFC 9457. `type` points to the description of the problem on this page; further keys are possible."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
