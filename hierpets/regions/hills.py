"""Segment a response map into hills, one per peak of sufficient persistence."""

from __future__ import annotations

import numpy as np

__all__ = ["separate"]

NOTHING = -1


def separate(response: np.ndarray, *, threshold: float, drop: float) -> np.ndarray:
    """Number the hills of ``response`` [h, w]: return that of each place, int [h, w]; -1 at or below ``threshold``.

    Hills are numbered from the highest. Two peaks are one hill unless every path from the lower peak to the higher one
    descends by at least ``drop``: the persistence of a peak, after Edelsbrunner, Letscher and Zomorodian, "Topological
    Persistence and Simplification", 2002.
    """
    hills = np.full((response.shape[0] + 2, response.shape[1] + 2), NOTHING)  # padded by one on each side
    peaks: list[float] = []
    for flat in np.argsort(-response, axis=None, kind="stable").tolist():
        row, column = divmod(flat, response.shape[1])
        height = float(response[row, column])
        if height <= threshold:
            break
        around = hills[row : row + 3, column : column + 3]
        near = sorted({int(hill) for hill in around.flat if hill != NOTHING})  # the lowest number has the highest peak
        if not near:
            peaks.append(height)
            near = [len(peaks) - 1]
        hills[row + 1, column + 1] = near[0]
        for hill in near[1:]:
            if peaks[hill] - height < drop:
                hills[hills == hill] = near[0]
    return _numbered(hills[1:-1, 1:-1])


def _numbered(hills: np.ndarray) -> np.ndarray:
    """Renumber the hills without gaps, still from the highest."""
    left = np.unique(hills[hills != NOTHING])
    return np.where(hills == NOTHING, NOTHING, np.searchsorted(left, hills))
