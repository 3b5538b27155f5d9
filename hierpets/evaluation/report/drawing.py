"""Renders a matplotlib figure as PNG, for slides, and as SVG that takes its colors from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hierpets.figures import figure_png
from hierpets.text import pretty

__all__ = ["ACCENT", "BAD", "INK", "LINE", "MUTED", "PANEL", "SERIES", "Drawing", "draw", "short"]

# The colors of the light theme. In the SVG each is replaced by a CSS variable, so that the dark theme can recolor it.
PANEL, INK, MUTED, LINE = "#fefefe", "#17202b", "#566273", "#d8dee6"
ACCENT, BAD = "#1f5fbf", "#b3261e"
SERIES = (ACCENT, "#b45309", "#1b7a4b", "#7b3fb0", "#0b7285")
_VARIABLES = {PANEL: "panel", INK: "ink", MUTED: "muted", LINE: "line", BAD: "bad"} | {
    color: f"series-{i}" for i, color in enumerate(SERIES)
}
_STYLE: Any = {
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
_PNG_DPI = 200
_POINTS_PER_INCH = 72
_LONGEST_NAME = 26  # characters


@dataclass(frozen=True)
class Drawing:
    """A drawn figure. ``alt`` is its text alternative; ``width`` is in points, as in the SVG."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    svg: str
    width: int


def draw(
    name: str, paint: Callable[[Figure], None], *, size: tuple[float, float], title: str, caption: str, alt: str
) -> Drawing:
    """Let ``paint`` fill a figure of ``size`` inches, and render it without touching pyplot's state."""
    painted: list[Figure] = []

    def paint_and_keep(figure: Figure) -> None:
        paint(figure)
        painted.append(figure)

    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        # matplotlib's font may lack the script of a class name; in the page, the browser's fonts are used.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        png = figure_png(paint_and_keep, size, dpi=_PNG_DPI)
        svg = _svg(painted[0])
    width = round(size[0] * _POINTS_PER_INCH)
    return Drawing(name, title, caption, alt, png, _inline(svg, alt), width)


def short(label: str) -> str:
    """Return the pretty name of a label, shortened to leave room for the figure."""
    name = pretty(label)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _svg(figure: Figure) -> str:
    """Render a figure with the layout computed for the PNG: computing it again would take as long as drawing."""
    figure.set_layout_engine("none")
    figure.set_facecolor("none")
    content = io.StringIO()
    FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _inline(svg: str, alt: str) -> str:
    """Reduce an SVG to its ``<svg>`` element, without metadata and without group ids, which would clash on the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var(--{variable})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
