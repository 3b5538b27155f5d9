"""``audit.json``: what is written of an audit, and read back and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from hierpets.auditing.kinds import KINDS, Kind
from hierpets.errors import DataError
from hierpets.evaluation.metrics.reading import read_json
from hierpets.validation.problems import find_problems
from hierpets.validation.strict import StrictModel

__all__ = [
    "SCHEMA_VERSION",
    "AdvisedSampler",
    "AuditDocument",
    "AuditedFinding",
    "AuditedLevel",
    "AuditedPhoto",
    "read_audit",
]

SCHEMA_VERSION: Literal[2] = 2


class AuditedPhoto(StrictModel):
    path: str
    species: str
    breed: str | None
    split: str | None


class AuditedFinding(StrictModel):
    kind: Kind
    what: str
    score: float
    photos: tuple[AuditedPhoto, ...] = Field(min_length=1)
    detail: dict[str, Any]


class AuditedLevel(StrictModel):
    counts: dict[str, int]
    imbalance_ratio: float | None


class AdvisedSampler(StrictModel):
    name: str
    reason: str


class AuditDocument(StrictModel):
    """The content of ``audit.json``, see ``docs/audit.md``."""

    schema_version: Literal[2]
    data: str
    backbone: str
    photos: int
    splits: dict[str, int]
    levels: dict[str, AuditedLevel]
    sampler: AdvisedSampler
    summary: dict[Kind, int]
    findings: tuple[AuditedFinding, ...]
    notes: tuple[str, ...]

    @field_validator("summary")
    @classmethod
    def _counts_every_kind(cls, summary: dict[Kind, int]) -> dict[Kind, int]:
        if missing := [kind for kind in KINDS if kind not in summary]:
            raise ValueError(f"does not count {missing[0]}")
        return summary


def read_audit(path: Path) -> AuditDocument:
    """The content of an ``audit.json``.

    :raises DataError: it cannot be read, is not JSON, is of another version of hierpets, or does not fit the schema.
    """
    content = read_json(path)
    version = content.get("schema_version", "none")
    if version != SCHEMA_VERSION:
        raise DataError(f"{path}: expected schema_version {SCHEMA_VERSION}, found {version}; audit again")
    try:
        return AuditDocument.model_validate(content)
    except ValidationError as error:
        problem = find_problems(error, AuditDocument)[0]
        raise DataError(f"{path}: not an audit of hierpets: {problem}; audit again") from error
