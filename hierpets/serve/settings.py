"""What the server allows: bytes, pixels, numbers and seconds. The one home of their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hierpets.data.photos import Limits
from hierpets.errors import ConfigError

__all__ = ["MB", "ServeSettings", "make_settings"]

MB = 2**20


class ServeSettings(BaseModel):
    """Limits of one server. Sizes are in MB of 2**20 bytes, times in seconds unless a name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: int = Field(default=3, ge=1)
    alpha: float | None = Field(default=None, gt=0, lt=1, description="Accepted share of wrong answers.")
    max_photo_mb: float = Field(default=20, gt=0)
    max_request_mb: float = Field(default=64, gt=0)
    max_uploads_mb: float = Field(default=256, gt=0, description="Bodies of all requests that are being answered.")
    max_megapixels: float = Field(default=50, gt=0)
    max_photos: int = Field(default=32, ge=1, description="Photos in one request.")
    queue: int = Field(default=128, ge=1, description="Photos that wait for the model.")
    upload_seconds: float = Field(default=20, gt=0)
    answer_seconds: float = Field(default=30, gt=0)
    stop_seconds: int = Field(default=30, ge=1, description="For what has been asked to be answered, at the end.")
    batch_size: int = Field(default=8, ge=1)
    batch_wait_ms: float = Field(default=4, ge=0)
    feedback: Path | None = None
    feedback_mb: float = Field(default=500, gt=0)

    @model_validator(mode="after")
    def _check_order(self) -> ServeSettings:
        if self.queue < self.max_photos:
            raise ValueError(f"queue ({self.queue}) must hold the photos of one request ({self.max_photos})")
        if not self.max_photo_mb <= self.max_request_mb <= self.max_uploads_mb:
            raise ValueError("expected max_photo_mb <= max_request_mb <= max_uploads_mb")
        return self

    @property
    def photo_limits(self) -> Limits:
        return Limits(max_bytes=int(self.max_photo_mb * MB), max_pixels=int(self.max_megapixels * 1e6))


def make_settings(options: dict[str, Any]) -> ServeSettings:
    """Settings of the options that are not None.

    :raises ConfigError: a line for each that is out of range.
    """
    try:
        return ServeSettings.model_validate({key: value for key, value in options.items() if value is not None})
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, item['loc'])) or 'serve'}: {item['msg']}" for item in error.errors())
        raise ConfigError("\n".join(lines)) from error
