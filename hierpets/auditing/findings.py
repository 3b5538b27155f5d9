"""What an audit finds, in one form for the terminal, notebooks, ``audit.json`` and ``audit.html``."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from hierpets.auditing.balance import ClassBalance, Suggestion
from hierpets.auditing.document import (
    SCHEMA_VERSION,
    AdvisedSampler,
    AuditDocument,
    AuditedFinding,
    AuditedLevel,
    AuditedPhoto,
)
from hierpets.auditing.kinds import BLOCKING, KINDS, SERIOUS, Kind
from hierpets.data.records import PhotoRecord
from hierpets.errors import ConfigError, did_you_mean, shown
from hierpets.text import join_words

__all__ = ["AUDIT_FILE", "PAGE_FILE", "Audit", "AuditFinding"]

AUDIT_FILE, PAGE_FILE = "audit.json", "audit.html"


@dataclass(frozen=True)
class AuditFinding:
    """One thing to look at: a photo, or several that are the same. ``score`` in [0, 1] ranks within a kind."""

    kind: Kind
    photos: tuple[PhotoRecord, ...]
    what: str
    score: float = 1.0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Audit:
    """The result of an audit.

    ``photos`` is their number, ``splits`` counts them per split and ``levels`` per class. ``suggestion`` is a sampler
    for these counts. ``notes`` say what could not be checked, and why.
    """

    source: str
    backbone: str
    photos: int
    splits: dict[str, int]
    levels: dict[str, ClassBalance]
    suggestion: Suggestion
    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[AuditFinding, ...]:
        """The findings of one kind, the highest score first.

        :raises ConfigError: no such kind.
        """
        if kind not in KINDS:
            raise ConfigError(f"kind: expected one of {', '.join(KINDS)}, got {shown(kind)}{did_you_mean(kind, KINDS)}")
        return tuple(sorted((f for f in self.findings if f.kind == kind), key=lambda f: -f.score))

    @property
    def summary(self) -> dict[Kind, int]:
        """Number of findings of every kind, the most serious kind first."""
        return {kind: len(self.of_kind(kind)) for kind in KINDS}

    @property
    def blocking(self) -> int:
        """Leaks and unreadable files."""
        return sum(self.summary[kind] for kind in BLOCKING)

    @property
    def headline(self) -> str:
        """The audit in one line: ``2,201 photos: 1 unreadable file and 3 outliers``."""
        parts = [f"{n} {words[n != 1]}" for kind, words in SERIOUS.items() if (n := self.summary[kind])]
        if not parts:
            return f"{self.photos:,} photos: no serious problems found"
        return f"{self.photos:,} photos: {join_words(parts)}"

    def to_json(self) -> dict[str, Any]:
        """The content of ``audit.json``, see ``docs/audit.md``."""
        document = AuditDocument(
            schema_version=SCHEMA_VERSION,
            data=self.source,
            backbone=self.backbone,
            photos=self.photos,
            splits=self.splits,
            levels={
                name: AuditedLevel(counts=level.counts, imbalance_ratio=_finite(level.ratio))
                for name, level in self.levels.items()
            },
            sampler=AdvisedSampler(name=self.suggestion.sampler, reason=self.suggestion.reason),
            summary=self.summary,
            findings=tuple(_documented(finding) for kind in KINDS for finding in self.of_kind(kind)),
            notes=self.notes,
        )
        return document.model_dump(mode="json")

    def __repr__(self) -> str:
        return f"<Audit of {self.source}: {self.headline}>"

    def _repr_html_(self) -> str:
        """The headline and a table of findings, for notebooks."""
        rows = "".join(
            f"<tr><td>{n}</td><td>{KINDS[kind].title}</td><td>{KINDS[kind].advice}</td></tr>"
            for kind, n in self.summary.items()
            if n
        )
        table = f"<table><tr><th>found</th><th>kind</th><th>what to do</th></tr>{rows}</table>" if rows else ""
        return f"<div><b>{escape(self.source)}</b>: {escape(self.headline)}{table}</div>"


def _documented(found: AuditFinding) -> AuditedFinding:
    photos = (AuditedPhoto(path=p.path, species=p.species, breed=p.breed, split=p.split) for p in found.photos)
    return AuditedFinding(
        kind=found.kind, what=found.what, score=round(found.score, 4), photos=tuple(photos), detail=found.detail
    )


def _finite(ratio: float | None) -> float | None:
    return None if ratio is None or ratio == float("inf") else round(ratio, 3)
