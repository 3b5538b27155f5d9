"""Checks of one photo on its own statistics: unreadable, misnamed, tiny, huge, dark, light, gray."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.auditing.findings import AuditFinding
from hierpets.auditing.images.image_stats import ImageStats
from hierpets.auditing.kinds import Kind
from hierpets.auditing.settings import AuditSettings
from hierpets.data.records import PhotoRecord

__all__ = ["BLANK", "check_image"]

BLANK: tuple[Kind, ...] = ("near_black", "near_white", "uniform")
"""Kinds of photos that show nothing, so that their hashes and features are meaningless."""


def check_image(record: PhotoRecord, stats: ImageStats, settings: AuditSettings) -> Iterator[AuditFinding]:
    """Yield the findings about one photo that need no other photo."""
    if stats.error is not None:
        yield AuditFinding.of("unreadable", (record,), stats.error)
        return
    for kind, what in (*_check_file(stats, settings), *_check_pixels(stats, settings)):
        yield AuditFinding.of(kind, (record,), what)


def _check_file(stats: ImageStats, settings: AuditSettings) -> Iterator[tuple[Kind, str]]:
    if not stats.complete:
        yield "truncated", f"the file ends after {stats.size:,} bytes without an end marker"
    width, height = stats.width or 0, stats.height or 0
    if stats.misnamed:
        yield "wrong_type", f"the content is {stats.format}"
    if min(width, height) < settings.tiny_side:
        yield "tiny", f"{width} x {height} pixels, shorter side below {settings.tiny_side}"
    if width * height > settings.huge_megapixels * 1e6:
        yield "huge", f"{width} x {height} pixels, above {settings.huge_megapixels:g} megapixels"


def _check_pixels(stats: ImageStats, settings: AuditSettings) -> Iterator[tuple[Kind, str]]:
    dark, light, color = stats.dark or 0.0, stats.light or 0.0, stats.color or 0.0
    if light < settings.black_below:
        yield "near_black", f"95% of the pixels are darker than {max(light, 0.01):.0%} of full brightness"
    elif dark > settings.white_above:
        yield "near_white", f"95% of the pixels are lighter than {min(dark, 0.99):.0%} of full brightness"
    elif light - dark < settings.uniform_below:
        yield "uniform", f"90% of the pixels lie between {dark:.0%} and {light:.0%} of full brightness"
    elif color < settings.gray_below:
        yield "gray", f"the channels of 99% of the pixels differ by less than {max(color, 0.01):.0%}"
