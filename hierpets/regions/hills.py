"""Hills of a map: where something responds, and where one thing ends and the next begins."""

from __future__ import annotations

import numpy as np

__all__ = ["separate"]

NOTHING = -1


def separate(response: np.ndarray, *, least: float, drop: float) -> np.ndarray:
    """int [h, w]: the number of the hill that a place of ``response`` [h, w] belongs to, -1 at and below ``least``.

    Hills are numbered from the highest. Two of them are one unless the way from the lower peak to the higher leads at
    least ``drop`` down: the persistence of a peak, after Edelsbrunner, Letscher and Zomorodian, "Topological
    Persistence and Simplification", 2002.
    """
    hills = np.full((response.shape[0] + 2, response.shape[1] + 2), NOTHING)  # with an edge of nothing
    peaks: list[float] = []
    for flat in np.argsort(-response, axis=None, kind="stable").tolist():
        row, column = divmod(flat, response.shape[1])
        height = float(response[row, column])
        if height <= least:
            break
        around = hills[row : row + 3, column : column + 3]
        near = sorted({int(hill) for hill in around.flat if hill != NOTHING})  # the first to rise is the highest
        if not near:
            peaks.append(height)
            near = [len(peaks) - 1]
        hills[row + 1, column + 1] = near[0]
        for hill in near[1:]:
            if peaks[hill] - height < drop:
                hills[hills == hill] = near[0]
    return _numbered(hills[1:-1, 1:-1])


def _numbered(hills: np.ndarray) -> np.ndarray:
    """The same hills, numbered without gaps: the first to rise was the highest."""
    left = np.unique(hills[hills != NOTHING])
    return np.where(hills == NOTHING, NOTHING, np.searchsorted(left, hills))
