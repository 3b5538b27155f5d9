"""Render matplotlib figures as PNG, without pyplot's global state."""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["figure_png", "percent_tick"]


def figure_png(paint: Callable[[Figure], None], size: tuple[float, float], *, dpi: int = 110) -> bytes:
    """Let ``paint`` fill a white figure of ``size`` (width, height) inches, and encode it."""
    # A class may be called "$x$"; it is a name, not a formula.
    with mpl.rc_context({"text.parse_math": False}):
        figure = Figure(figsize=size, dpi=dpi, layout="constrained", facecolor="white")
        canvas = FigureCanvasAgg(figure)
        paint(figure)
        content = io.BytesIO()
        canvas.print_png(content)  # savefig would draw it twice, for the layout
    return content.getvalue()


def percent_tick(share: float, _position: float | None = None) -> str:
    """Tick label of a share for matplotlib: ``0.125`` as ``"12.5%"``."""
    return f"{round(100 * share, 2):g}%"
