"""What the facts of one photo alone give away: unreadable, misnamed, tiny, huge, dark, light, gray."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.auditing.findings import Finding, Kind
from hierpets.auditing.images.image_stats import Facts
from hierpets.auditing.settings import AuditSettings
from hierpets.data.index import PhotoRecord

__all__ = ["BLANK", "judge_looks"]

BLANK: tuple[Kind, ...] = ("near_black", "near_white", "flat")
"""Kinds of photos that show nothing: their hash and their features mean nothing either."""


def judge_looks(record: PhotoRecord, facts: Facts, settings: AuditSettings) -> Iterator[Finding]:
    """The findings about one photo that need no other photo."""
    if facts.error is not None:
        yield Finding("unreadable", (record,), facts.error)
        return
    for kind, what in (*_of_file(facts, settings), *_of_pixels(facts, settings)):
        yield Finding(kind, (record,), what)


def _of_file(facts: Facts, settings: AuditSettings) -> Iterator[tuple[Kind, str]]:
    if not facts.complete:
        yield "truncated", f"the file stops after {facts.size:,} bytes without an end marker"
    width, height = facts.width or 0, facts.height or 0
    if facts.misnamed:
        yield "wrong_type", f"its content is {facts.format}"
    if min(width, height) < settings.tiny_side:
        yield "tiny", f"{width} x {height} pixels, the shorter side below {settings.tiny_side}"
    if width * height > settings.huge_megapixels * 1e6:
        yield "huge", f"{width} x {height} pixels, above {settings.huge_megapixels:g} megapixels"


def _of_pixels(facts: Facts, settings: AuditSettings) -> Iterator[tuple[Kind, str]]:
    dark, light, color = facts.dark or 0.0, facts.light or 0.0, facts.color or 0.0
    if light < settings.black_below:
        yield "near_black", f"95 of 100 pixels are darker than {light:.0%} of full brightness"
    elif dark > settings.white_above:
        yield "near_white", f"95 of 100 pixels are lighter than {dark:.0%} of full brightness"
    elif light - dark < settings.flat_below:
        yield "flat", f"90 of 100 pixels lie between {dark:.0%} and {light:.0%} of full brightness"
    elif color < settings.gray_below:
        yield "gray", f"the channels of 99 of 100 pixels differ by less than {max(color, 0.01):.0%}"
