"""The base of every model that a file, a caller or a request fills in."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["StrictModel"]


class StrictModel(BaseModel):
    """Frozen, and a key that does not exist is an error."""

    # What is written always has all its keys, defaults too, and the JSON schema of it says so.
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)
