"""Horizontal bars of shares, with names at the left and the first bar at the top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from hierpets.evaluation.report.drawing import ACCENT, INK
from hierpets.figures import percent_tick

__all__ = ["name_bars", "paint_bars"]


def paint_bars(
    axes: Axes, names: Sequence[str], shares: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> None:
    """Draw a bar for each share, with its interval."""
    share, (low, high), y = np.array(shares), np.array(intervals).T, np.arange(len(names))
    axes.barh(y, share, color=ACCENT, alpha=0.45, height=0.62)
    # Lengths must not be negative: with only hits, rounding may put the interval's end just below the share.
    lengths = np.clip([share - low, high - share], 0, None)
    axes.errorbar(share, y, xerr=lengths, fmt="o", color=INK, markersize=3, linewidth=1.1, capsize=2)
    name_bars(axes, names)


def name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Label the bars at 0, 1, ..., and format the axis of their shares."""
    axes.set(yticks=np.arange(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(percent_tick)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
