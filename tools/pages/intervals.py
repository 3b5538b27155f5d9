"""Differences between two ways on the same photos, in words."""

from __future__ import annotations

import numpy as np


def against(one: np.ndarray, other: np.ndarray) -> str:
    """The mean difference in points and its 95% interval, normal over photos."""
    difference = one.astype(float) - other
    mean, half = 100 * difference.mean(), 196 * difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"
