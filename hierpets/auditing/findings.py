"""What an audit finds, in one form for the terminal, notebooks, ``audit.json`` and ``audit.html``."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from hierpets.auditing.balance import ClassBalance, Suggestion
from hierpets.data.records import PhotoRecord
from hierpets.text import join_words

__all__ = ["AUDIT_FILE", "BLOCKING", "KINDS", "PAGE_FILE", "Audit", "AuditFinding", "Kind", "KindText"]

AUDIT_FILE, PAGE_FILE = "audit.json", "audit.html"

Kind = Literal[
    "unreadable",
    "truncated",
    "leak",
    "label_conflict",
    "label_error",
    "outlier",
    "near_black",
    "near_white",
    "uniform",
    "duplicate",
    "wrong_type",
    "tiny",
    "huge",
    "gray",
]
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class KindText:
    """What a kind of finding is called, and what to do about it."""

    title: str
    advice: str


KINDS: dict[Kind, KindText] = {
    "unreadable": KindText(
        "Unreadable files", "Download them again or remove them; training leaves them out, or stops with --strict."
    ),
    "truncated": KindText("Truncated files", "Download them again: they still decode, but parts may be filled in."),
    "leak": KindText("Same photo in two splits", "Keep it in one split: a photo seen in training is no test."),
    "label_conflict": KindText(
        "Same photo under two labels", "One of the labels is wrong, or the photo shows two animals."
    ),
    "label_error": KindText(
        "Suspected label errors", "Review each, best first: some labels are wrong, some photos are hard."
    ),
    "outlier": KindText("Outliers", "Unlike any other photo in this data set; look before you remove them."),
    "near_black": KindText("Nearly black", "Nothing can be learned from them."),
    "near_white": KindText("Nearly white", "Nothing can be learned from them."),
    "uniform": KindText("Uniform image", "They show almost nothing."),
    "duplicate": KindText("Duplicates", "Keep one of each: a random split would put copies on both sides."),
    "wrong_type": KindText(
        "Extension does not match content", "Rename them: hierpets goes by the content, other tools may not."
    ),
    "tiny": KindText("Tiny", "They are enlarged for the network, which blurs them."),
    "huge": KindText("Huge", "They are slow to decode for no gain; resize them."),
    "gray": KindText("Grayscale", "Many breeds are recognized by coat color."),
}

BLOCKING: tuple[Kind, ...] = ("unreadable", "leak")
"""The kinds for which ``--strict`` fails."""

SERIOUS: dict[Kind, tuple[str, str]] = {
    "unreadable": ("unreadable file", "unreadable files"),
    "leak": ("photo in two splits", "photos in two splits"),
    "label_conflict": ("photo under two labels", "photos under two labels"),
    "label_error": ("suspected label error", "suspected label errors"),
    "outlier": ("outlier", "outliers"),
}


@dataclass(frozen=True)
class AuditFinding:
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
        """The findings of one kind, the highest score first."""
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


def _finite(ratio: float | None) -> float | None:
    return None if ratio is None or ratio == float("inf") else round(ratio, 3)
