"""``audit.html``: one self-contained page with a picture of every finding."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.auditing.findings import Audit, AuditFinding
from hierpets.auditing.kinds import BLOCKING, KINDS, Kind
from hierpets.data.photos import read_photo
from hierpets.errors import ImageError
from hierpets.evaluation.report.page import page_environment
from hierpets.thumbnails import data_uri

__all__ = ["render_page"]

SIDE = 240  # pixels of a thumbnail
MAX_FINDINGS = 60  # maximum number of findings of a kind to show; audit.json has all
COPIES = 4  # pictures of one finding


def render_page(audit: Audit) -> str:
    """Render the page. Names are escaped; its content security policy forbids scripts and requests."""
    template = page_environment("hierpets.auditing").get_template("audit.html.j2")
    return template.render(
        audit=audit,
        kinds=KINDS,
        blocking=BLOCKING,
        sections=list(_sections(audit)),
    )


def _sections(audit: Audit) -> Iterator[tuple[Kind, list[tuple[AuditFinding, list[str | None]]], int]]:
    """Yield (kind, [(finding, pictures)], number of findings not shown) for each kind that was found."""
    for kind in KINDS:
        found = audit.of_kind(kind)
        if found:
            cards = [(f, [_thumbnail(photo.path) for photo in f.photos[:COPIES]]) for f in found[:MAX_FINDINGS]]
            yield kind, cards, max(0, len(found) - MAX_FINDINGS)


def _thumbnail(path: str) -> str | None:
    try:
        return data_uri(read_photo(path, shorter_side=SIDE), SIDE)
    except ImageError:
        return None
