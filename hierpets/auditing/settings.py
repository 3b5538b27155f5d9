"""The bounds of an audit: what counts as tiny, as dark, as the same photo, as a wrong label."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AuditSettings"]


class AuditSettings(BaseModel):
    """Lengths in pixels, brightness and color as a share of the full range, similarities as a cosine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiny_side: int = Field(default=100, ge=1)
    """A photo whose shorter side is below this is tiny."""
    huge_megapixels: float = Field(default=50.0, gt=0)
    gray_below: float = Field(default=0.03, ge=0, le=1)
    """A photo is gray when 99 of 100 pixels have channels that differ by less."""
    black_below: float = Field(default=0.12, ge=0, le=1)
    """A photo is near-black when 95 of 100 pixels are darker."""
    white_above: float = Field(default=0.92, ge=0, le=1)
    """A photo is near-white when 95 of 100 pixels are lighter."""
    flat_below: float = Field(default=0.06, ge=0, le=1)
    """A photo shows nothing when 90 of 100 pixels lie within a range of brightness as narrow as this."""
    hash_distance: int = Field(default=8, ge=0, le=32)
    """Bits, of 64, in which the hashes of near duplicates may differ."""
    same_photo: float = Field(default=0.8, ge=0, le=1)
    """The cosine of their features that confirms two photos of like hash as near duplicates."""
    neighbors: int = Field(default=10, ge=1)
    folds: int = Field(default=5, ge=2)
    seed: int = Field(default=0, ge=0, lt=2**32)
    workers: int = Field(default=2, ge=1)
