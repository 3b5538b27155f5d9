"""``audit.html``: one page with a picture of everything found, with no need of a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import jinja2

from hierpets.auditing.findings import BLOCKING, KINDS, Audit, Finding, Kind
from hierpets.data.photos import read_photo
from hierpets.errors import ImageError

__all__ = ["render_page", "verdict"]

SIDE = 240  # pixels of a thumbnail
MOST = 60  # findings of a kind with their pictures; the rest is in audit.json
COPIES = 4  # pictures of one finding
SERIOUS: tuple[Kind, ...] = ("unreadable", "leak", "label_conflict", "label_error", "no_pet")


def render_page(audit: Audit) -> str:
    """The page. Names are escaped; the page forbids itself scripts and any request."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("hierpets.auditing"), jinja2.PackageLoader("hierpets.evaluation.report")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("audit.html.j2").render(
        audit=audit,
        verdict=verdict(audit),
        kinds=KINDS,
        blocking=BLOCKING,
        infinite=float("inf"),
        sections=list(_sections(audit)),
    )


def verdict(audit: Audit) -> str:
    """The audit in one sentence, the gravest first."""
    words = {
        "unreadable": ("unreadable file", "unreadable files"),
        "leak": ("photo in two splits", "photos in two splits"),
        "label_conflict": ("photo under two labels", "photos under two labels"),
        "label_error": ("suspected label error", "suspected label errors"),
        "no_pet": ("photo that looks like no pet", "photos that look like no pet"),
    }
    parts = [f"{n} {words[kind][n != 1]}" for kind in SERIOUS if (n := audit.summary[kind])]
    if not parts:
        return f"{audit.photos:,} photos, and nothing grave found in them"
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{audit.photos:,} photos: {listed}"


def _sections(audit: Audit) -> Iterator[tuple[Kind, list[tuple[Finding, list[str | None]]], int]]:
    """(kind, [(finding, pictures)], how many are not shown) of each kind that was found."""
    for kind in KINDS:
        found = audit.of_kind(kind)
        if found:
            cards = [(f, [_thumbnail(photo.path) for photo in f.photos[:COPIES]]) for f in found[:MOST]]
            yield kind, cards, max(0, len(found) - MOST)


def _thumbnail(path: str) -> str | None:
    from PIL import Image

    try:
        picture = Image.fromarray(read_photo(path, shorter_side=SIDE))
    except ImageError:
        return None
    picture.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
