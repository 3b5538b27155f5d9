"""Figures in a run folder: the learning curves, and the first augmented batch as the network sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hierpets.data.transforms import denormalize
from hierpets.figures import figure_png, percent_tick
from hierpets.plugin import Preprocess

__all__ = ["draw_batch", "draw_curves"]

MAX_PHOTOS = 32  # photos of a batch to draw
COLUMNS = 8
CELL = 1.12  # height of a photo with its name, relative to its width


def draw_curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw the losses, and the balanced accuracy per level, over the epochs, as a PNG.

    A row holds ``epoch`` (0: before the first), ``loss`` on training photos, and ``nll``, ``species`` and ``breed`` on
    validation photos; values that are missing or None are left out.
    """

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _line(left, history, "loss", "training loss")
        _line(left, history, "nll", "validation negative log-likelihood")
        _line(right, history, "breed", "breed")
        _line(right, history, "species", "species")
        left.set_title("loss")
        right.set_title("balanced accuracy on validation photos")
        right.yaxis.set_major_formatter(percent_tick)
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(frameon=False)

    return figure_png(paint, (11.0, 4.2))


def draw_batch(inputs: np.ndarray, names: Sequence[str], preprocess: Preprocess) -> bytes:
    """Draw up to 32 inputs, float32 [B, 3, size, size], without their normalization and with their names, as a PNG."""
    shown = list(zip(inputs[:MAX_PHOTOS], names, strict=False))
    rows = max(1, -(-len(shown) // COLUMNS))

    def paint(figure: Figure) -> None:
        # A single axes for all photos: one for each would take almost three times as long.
        axes = figure.subplots()
        axes.set_axis_off()
        for number, (planes, name) in enumerate(shown):
            row, left = divmod(number, COLUMNS)
            bottom = CELL * (row + 1)
            axes.imshow(denormalize(preprocess, planes), extent=(left + 0.02, left + 0.98, bottom, bottom - 0.96))
            axes.text(left + 0.5, bottom - 0.98, name.replace("_", " "), fontsize=7, ha="center", va="bottom")
        axes.set(xlim=(0, COLUMNS), ylim=(CELL * rows, 0))

    return figure_png(paint, (1.7 * COLUMNS, 1.7 * CELL * rows))


def _line(axes: Axes, history: Sequence[Mapping[str, Any]], key: str, label: str) -> None:
    points = [(row["epoch"], row[key]) for row in history if row.get(key) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
