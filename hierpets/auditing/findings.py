"""The result of an audit, in one form for the terminal, notebooks, ``audit.json`` and ``audit.html``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, field_validator

from hierpets.auditing.balance import ClassBalance, SuggestedSampler
from hierpets.auditing.kinds import BLOCKING, KINDS, SERIOUS, Kind
from hierpets.data.records import PhotoRecord
from hierpets.errors import ConfigError, did_you_mean, shown
from hierpets.text import counted, join_words
from hierpets.validation.strict import StrictModel

__all__ = ["AUDIT_FILE", "PAGE_FILE", "Audit", "AuditFinding", "AuditedPhoto", "count_kinds", "ranked"]

AUDIT_FILE, PAGE_FILE = "audit.json", "audit.html"


class AuditedPhoto(StrictModel):
    """A photo with its labels. ``breed`` is None if it is not stated, ``split`` if none is assigned."""

    path: str
    species: str
    breed: str | None
    split: str | None


class AuditFinding(StrictModel):
    """One finding: a photo, or several copies of one. ``score`` in [0, 1] ranks findings of the same kind."""

    kind: Kind
    what: str
    score: Annotated[float, PlainSerializer(lambda score: round(score, 4))]
    photos: tuple[AuditedPhoto, ...] = Field(min_length=1)
    detail: dict[str, Any]

    @classmethod
    def of(
        cls,
        kind: Kind,
        records: Sequence[PhotoRecord],
        what: str,
        score: float = 1.0,
        detail: dict[str, Any] | None = None,
    ) -> AuditFinding:
        """Make a finding about labeled photos."""
        photos = tuple(AuditedPhoto(path=r.path, species=r.species, breed=r.breed, split=r.split) for r in records)
        return cls(kind=kind, what=what, score=score, photos=photos, detail=detail or {})


def ranked(findings: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Sort findings by kind, the most serious first, and within a kind by score, the highest first."""
    kinds = list(KINDS)
    return tuple(sorted(findings, key=lambda finding: (kinds.index(finding.kind), -finding.score)))


def count_kinds(findings: Iterable[AuditFinding]) -> dict[Kind, int]:
    """Count the findings of every kind, the most serious kind first."""
    kinds = [finding.kind for finding in findings]
    return {kind: kinds.count(kind) for kind in KINDS}


class Audit(StrictModel):
    """The result of an audit, and the content of ``audit.json``, see ``docs/audit.md``."""

    schema_version: Literal[2] = Field(default=2, description="Raised when a key is removed or changes its meaning.")
    data: str = Field(description="What was audited.")
    backbone: str = Field(description="The backbone of its features.")
    photos: int = Field(description="How many photos.")
    splits: dict[str, int] = Field(description="How many of them in each split that the data names.")
    levels: dict[str, ClassBalance] = Field(
        description="For `species` and `breed`: photos of each class that can be read, and how imbalanced they are."
    )
    sampler: SuggestedSampler = Field(description="A sampler for these counts, and the reason.")
    summary: dict[Kind, int] = Field(description="Number of findings of every kind, the most serious kind first.")
    findings: tuple[AuditFinding, ...] = Field(description="By kind, the highest score first.")
    notes: tuple[str, ...] = Field(description="What could not be checked, and why.")

    @field_validator("summary")
    @classmethod
    def _counts_every_kind(cls, summary: dict[Kind, int]) -> dict[Kind, int]:
        if missing := [kind for kind in KINDS if kind not in summary]:
            raise ValueError(f"does not count {missing[0]}")
        return summary

    def of_kind(self, kind: Kind) -> tuple[AuditFinding, ...]:
        """Return the findings of one kind, the highest score first.

        :raises ConfigError: no such kind.
        """
        if kind not in KINDS:
            raise ConfigError(f"kind: expected one of {', '.join(KINDS)}, got {shown(kind)}{did_you_mean(kind, KINDS)}")
        return tuple(finding for finding in self.findings if finding.kind == kind)

    @property
    def blocking(self) -> int:
        """Number of leaks and unreadable files."""
        return sum(self.summary[kind] for kind in BLOCKING)

    @property
    def headline(self) -> str:
        """The audit in one line: ``2,201 photos: 1 unreadable file and 3 outliers``."""
        parts = [f"{n} {words[n != 1]}" for kind, words in SERIOUS.items() if (n := self.summary[kind])]
        return f"{counted(self.photos, 'photo')}: {join_words(parts) if parts else 'no serious problems found'}"

    def to_json(self) -> dict[str, Any]:
        """The content of ``audit.json``, see ``docs/audit.md``."""
        return self.model_dump(mode="json")

    def __repr__(self) -> str:
        return f"<Audit of {self.data}: {self.headline}>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """The headline and a table of findings, for notebooks."""
        rows = "".join(
            f"<tr><td>{n}</td><td>{KINDS[kind].title}</td><td>{KINDS[kind].advice}</td></tr>"
            for kind, n in self.summary.items()
            if n
        )
        table = f"<table><tr><th>found</th><th>kind</th><th>what to do</th></tr>{rows}</table>" if rows else ""
        return f"<div><b>{escape(self.data)}</b>: {escape(self.headline)}{table}</div>"
