"""What an audit finds, in one shape for the summary, ``audit.json`` and ``audit.html``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hierpets.auditing.balance import Balance, Suggestion
from hierpets.data.index import PhotoRecord

__all__ = ["BLOCKING", "KINDS", "Audit", "Finding", "Kind", "KindText"]

Kind = Literal[
    "unreadable",
    "truncated",
    "leak",
    "label_conflict",
    "label_error",
    "no_pet",
    "near_black",
    "near_white",
    "flat",
    "duplicate",
    "wrong_type",
    "tiny",
    "huge",
    "gray",
]
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class KindText:
    """What a kind of finding is called, and what to do about it."""

    title: str
    advice: str


KINDS: dict[Kind, KindText] = {
    "unreadable": KindText("Unreadable files", "Fetch them again or take them out; training stops at the first."),
    "truncated": KindText(
        "Files cut short", "Fetch them again: a picture can be made of them, but part of it may be filled in."
    ),
    "leak": KindText(
        "The same photo in two splits",
        "Keep it in one split: a model is not tested by a photo that it has seen.",
    ),
    "label_conflict": KindText(
        "The same photo under two labels", "One of the labels is wrong, or the photo shows two animals."
    ),
    "label_error": KindText(
        "Suspected label errors", "Look at each, the surest first: some are wrong labels, some are hard photos."
    ),
    "no_pet": KindText(
        "Photos that look like no pet", "They look like nothing else in this set; look before taking them out."
    ),
    "near_black": KindText("Nearly black", "Nothing can be learnt from them."),
    "near_white": KindText("Nearly white", "Nothing can be learnt from them."),
    "flat": KindText("Of one brightness", "They show next to nothing."),
    "duplicate": KindText(
        "The same photo more than once",
        "Keep one of each: a random split would put copies on both sides.",
    ),
    "wrong_type": KindText(
        "Named as another type", "hierpets reads the content and does not mind; other tools may. Rename them."
    ),
    "tiny": KindText("Tiny", "They are enlarged for the network and blurred by it."),
    "huge": KindText("Huge", "They take long to decode and gain nothing; shrink them once."),
    "gray": KindText("Without color", "Coat color is what many breeds are told by."),
}

BLOCKING: tuple[Kind, ...] = ("unreadable", "leak")
"""The kinds for which ``--strict`` fails."""


@dataclass(frozen=True)
class Finding:
    """One thing to look at: a photo, or several that are the same. ``score`` in [0, 1] ranks within a kind."""

    kind: Kind
    photos: tuple[PhotoRecord, ...]
    what: str
    score: float = 1.0
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "what": self.what,
            "score": round(self.score, 4),
            "photos": [{"path": p.path, "species": p.species, "breed": p.breed, "split": p.split} for p in self.photos],
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Audit:
    """All that an audit of ``photos`` photos says. ``notes`` say what could not be judged, and why."""

    source: str
    backbone: str
    photos: int
    splits: dict[str, int]
    levels: dict[str, Balance]
    suggestion: Suggestion
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[Finding, ...]:
        """The findings of one kind, the surest first."""
        return tuple(sorted((f for f in self.findings if f.kind == kind), key=lambda f: -f.score))

    @property
    def summary(self) -> dict[Kind, int]:
        """Findings a kind, every kind named, the gravest first."""
        return {kind: len(self.of_kind(kind)) for kind in KINDS}

    @property
    def blocking(self) -> int:
        """Leaks and unreadable files."""
        return sum(self.summary[kind] for kind in BLOCKING)

    def to_json(self) -> dict[str, Any]:
        """The content of ``audit.json``, see ``docs/audit.md``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "data": self.source,
            "backbone": self.backbone,
            "photos": self.photos,
            "splits": self.splits,
            "levels": {
                level: {"counts": b.counts, "imbalance_ratio": _finite(b.ratio)} for level, b in self.levels.items()
            },
            "sampler": {"name": self.suggestion.sampler, "reason": self.suggestion.reason},
            "summary": self.summary,
            "findings": [finding.to_json() for kind in KINDS for finding in self.of_kind(kind)],
            "notes": list(self.notes),
        }


def _finite(ratio: float | None) -> float | None:
    return None if ratio is None or ratio == float("inf") else round(ratio, 3)
