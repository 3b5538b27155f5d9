"""Settings of a server: the one definition of its limits, their units and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from hierpets.errors import ConfigError
from hierpets.inference.options import PredictOptions
from hierpets.validation.problems import problem_lines
from hierpets.validation.strict import StrictModel

if TYPE_CHECKING:
    from hierpets.data.photos import Limits

__all__ = ["MB", "ServeSettings", "make_settings"]

MB = 2**20
HOST = re.compile(r"\*|[\w.-]+|[\da-f:.]+(%\w+)?", re.IGNORECASE)  # "*", a name, or an IPv6 address


class ServeSettings(StrictModel):
    """Settings of one server. A MB is 2**20 bytes."""

    options: PredictOptions = Field(
        default=PredictOptions(), description="default options of predictions; a request can override them"
    )
    max_photo_mb: float = Field(default=20, gt=0, description="maximum size of one photo, in MB")
    max_request_mb: float = Field(default=64, gt=0, description="maximum size of one request, in MB")
    max_uploads_mb: float = Field(default=256, gt=0, description="maximum size of all open requests together, in MB")
    max_megapixels: float = Field(default=50, gt=0, description="maximum size of one photo, in megapixels")
    max_photos: int = Field(default=32, ge=1, description="maximum number of photos in one request")
    queue: int = Field(
        default=128,
        ge=1,
        description="maximum number of photos waiting for the model, one with regions as 16; beyond it, a 429",
    )
    upload_seconds: float = Field(default=20, gt=0, description="time limit for an upload, in seconds")
    predict_seconds: float = Field(
        default=30, gt=0, description="time limit for the predictions of a request, in seconds"
    )
    stop_seconds: int = Field(default=30, ge=1, description="time to finish open requests on shutdown, in seconds")
    batch_size: int = Field(default=8, ge=1, description="maximum number of photos in one batch")
    batch_wait_ms: float = Field(
        default=0,
        ge=0,
        description="maximum time that a photo waits for a batch to fill, in milliseconds; only a GPU gains by it",
    )
    allowed_host: tuple[str, ...] = Field(
        default=("localhost",), description="host name that requests may ask for, beside IP addresses; * for all"
    )
    feedback: Path | None = Field(default=None, description="folder to save feedback in; without it, feedback is off")
    feedback_mb: float = Field(default=500, gt=0, description="maximum size of the feedback folder, in MB")

    @field_validator("allowed_host")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not HOST.fullmatch(name):  # such as a URL, which no request would name
                raise ValueError(f"expected a name without scheme and port, such as pets.example.com, got {name!r}")
        return names

    @model_validator(mode="after")
    def _check_order(self) -> ServeSettings:
        if self.queue < self.max_photos:
            raise ValueError(f"queue ({self.queue}) must hold the photos of one request ({self.max_photos})")
        if not self.max_photo_mb <= self.max_request_mb <= self.max_uploads_mb:
            given = f"{self.max_photo_mb:g}, {self.max_request_mb:g} and {self.max_uploads_mb:g}"
            raise ValueError(f"expected max_photo_mb <= max_request_mb <= max_uploads_mb, got {given}")
        return self

    @property
    def photo_limits(self) -> Limits:
        """The limits of one photo, for the decoder."""
        from hierpets.data.photos import Limits  # imports OpenCV, which `hierpets serve --help` does not need

        return Limits(max_bytes=int(self.max_photo_mb * MB), max_pixels=int(self.max_megapixels * 1e6))


def make_settings(given: Mapping[str, Any]) -> ServeSettings:
    """Make settings from values by name; the others keep their defaults.

    :raises ConfigError: a setting does not exist or is out of range; one line for each.
    """
    try:
        return ServeSettings.model_validate(given)
    except ValidationError as error:
        raise ConfigError("\n".join(problem_lines(error, ServeSettings, "serve"))) from None
