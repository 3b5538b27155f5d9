"""The thresholds of an audit, such as what counts as tiny, dark, or the same photo."""

from __future__ import annotations

from pydantic import Field

from hierpets.validation.strict import StrictModel

__all__ = ["AuditSettings"]


class AuditSettings(StrictModel):
    """Thresholds of the image checks, the pair checks and the label checks."""

    tiny_side: int = Field(default=100, ge=1, description="shorter side in pixels, below which a photo is tiny")
    huge_megapixels: float = Field(default=50.0, gt=0, description="megapixels, above which a photo is huge")
    gray_below: float = Field(
        default=0.03, ge=0, le=1, description="gray: the channels of 99% of the pixels differ by less; of 1"
    )
    black_below: float = Field(default=0.12, ge=0, le=1, description="near black: 95% of the pixels are darker; of 1")
    white_above: float = Field(default=0.92, ge=0, le=1, description="near white: 95% of the pixels are lighter; of 1")
    uniform_below: float = Field(
        default=0.06, ge=0, le=1, description="uniform: the brightness of 90% of the pixels lies in such a range; of 1"
    )
    hash_distance: int = Field(
        default=8, ge=0, le=32, description="bits, of 64, in which the hashes of near duplicates may differ"
    )
    same_photo: float = Field(
        default=0.8, ge=0, le=1, description="least cosine of the features of two photos of like hash that are the same"
    )
    neighbors: int = Field(default=10, ge=1, description="nearest neighbors that are compared with each label")
    folds: int = Field(default=5, ge=2, description="cross-validation folds of the heads that check the labels")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the folds")
    workers: int = Field(default=2, ge=1, description="threads that decode photos")
