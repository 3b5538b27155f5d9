"""The figure of a plan: the learning curve, and what the last photos of each class brought."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hierpets.evaluation.report.bars import paint_bars
from hierpets.evaluation.report.drawing import ACCENT, MUTED, Drawing, draw, short
from hierpets.figures import percent_tick
from hierpets.planning.result import CurvePoint, Plan
from hierpets.text import percent, told_apart

__all__ = ["SHOWN", "plan_figure"]

SHOWN = 12  # classes
ROOM = 0.07  # of the axis, that the number of a tick takes


def plan_figure(plan: Plan) -> Drawing:
    """Accuracy against photos of each class with the range of the repeats; gains of the classes that gain most."""
    gains = [found for found in plan.gains if found.gain > 0][:SHOWN]

    def paint(figure: Figure) -> None:
        if not gains:
            _paint_curve(figure.subplots(), plan.curve, plan.level)
            return
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        _paint_curve(left, plan.curve, plan.level)
        names = told_apart(found.label for found in gains)
        bars = [f"{short(names[found.label])} ({found.photos})" for found in gains]
        paint_bars(right, bars, [found.gain for found in gains], [found.interval for found in gains])
        right.xaxis.set_major_formatter(_points_tick)
        right.set_xlabel("points of recall that its last photos brought")

    last = plan.curve[-1]
    return draw(
        "plan",
        paint,
        size=(10, 4.2),
        title="Learning curve",
        caption=f"{plan.photos:,} photos of {plan.classes} classes, {plan.backbone}; the band is the range of repeats.",
        alt=f"Learning curve up to {percent(last.accuracy)}, and the gains of {len(gains)} classes.",
    )


def _points_tick(gain: float, _position: float | None = None) -> str:
    return f"{round(100 * gain, 2):g}"


def _numbers(x: Sequence[float]) -> list[str]:
    """The number of each tick on a logarithmic axis, empty where the next would be printed over it."""
    room = (x[-1] / x[0]) ** ROOM
    shown, right = [], math.inf
    for value in reversed(x):
        fits = value * room <= right
        shown.append(f"{value:.3g}" if fits else "")
        right = value if fits else right
    return shown[::-1]


def _paint_curve(axes: Axes, curve: Sequence[CurvePoint], level: str) -> None:
    x = [point.mean_photos for point in curve]
    axes.fill_between(x, [p.low for p in curve], [p.high for p in curve], color=ACCENT, alpha=0.2, linewidth=0)
    axes.plot(x, [p.accuracy for p in curve], color=ACCENT, marker="o", markersize=4, label=f"{level}, mean recall")
    if level == "breed":
        axes.plot(x, [p.species for p in curve], color=MUTED, linestyle="--", label="species, mean recall")
    axes.set_xscale("log")
    axes.set_xticks(x, _numbers(x))
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set(xlabel=f"photos of each {level}, on average")
    axes.legend(loc="lower right")
