"""The figure of a stress test: the effect of each kind of corruption, step by step."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hierpets.evaluation.metrics.schema import StressMetrics, StressScores
from hierpets.evaluation.report.drawing import SERIES, Drawing, draw
from hierpets.figures import percent_tick
from hierpets.text import counted, percent

__all__ = ["stress_figure"]

_COLUMNS = 3


def stress_figure(stress: StressMetrics) -> Drawing:
    """Draw accuracy, right answers and false alarms against the step, one plot per kind; step 0 is unchanged."""
    kinds = {kind: [stress.unchanged, *steps] for kind, steps in groupby(stress.steps, key=lambda step: step.kind)}
    lines = _lines(stress.unchanged)

    def paint(figure: Figure) -> None:
        rows = -(-len(kinds) // _COLUMNS)
        for place, (kind, steps) in enumerate(kinds.items(), start=1):
            _paint_kind(figure.add_subplot(rows, _COLUMNS, place), kind, steps, lines)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(lines))
        figure.supxlabel("step", fontsize="medium")

    return draw(
        "stress",
        paint,
        size=(8.2, 6.2),
        title="Stress test",
        caption=f"{counted(stress.n, 'photo')}, the same in every plot; step 0: unchanged, {stress.side} px at most.",
        alt="Stress test: mean accuracy at steps 1 to 3: " + ", ".join(percent(mean.finest) for mean in stress.mean),
    )


def _lines(scores: StressScores) -> dict[str, str]:
    """Names of the lines to draw, by field of the scores."""
    breed = {} if scores.breed is None else {"breed": "breed accuracy"}
    return breed | {"species": "species accuracy", "holds_truth": "right or parent", "unknown": "called unknown"}


def _paint_kind(axes: Axes, kind: str, steps: list[StressScores], lines: dict[str, str]) -> None:
    for color, (field, name) in zip(SERIES, lines.items(), strict=False):
        values = np.array([getattr(step, field) for step in steps], dtype=float)
        axes.plot(range(len(steps)), values, color=color, marker="o", markersize=3, label=name)
    axes.set_title(kind, fontsize="medium")
    axes.set(ylim=(-0.03, 1.03), xticks=range(len(steps)))
    axes.yaxis.set_major_formatter(percent_tick)
