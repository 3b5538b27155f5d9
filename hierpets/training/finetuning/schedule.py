"""The learning rate as a pure function of the step: a linear warm-up, then half a cosine down to nought."""

from __future__ import annotations

import math

__all__ = ["rate_factor"]


def rate_factor(step: int, *, warmup: int, total: int) -> float:
    """The share of the full rate at ``step`` (from 0) of ``total``; it climbs over the first ``warmup`` steps."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
