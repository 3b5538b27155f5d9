"""The figure of a plan: the learning curve, and what the last photos of each class brought."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hierpets.evaluation.report.drawing import ACCENT, INK, MUTED, Drawing, draw, short
from hierpets.figures import percent_tick
from hierpets.planning.result import ClassGain, CurvePoint, Plan
from hierpets.text import percent

__all__ = ["SHOWN", "plan_figure"]

SHOWN = 12  # classes


def plan_figure(plan: Plan) -> Drawing:
    """Accuracy against photos of each class with the range of the repeats; gains of the classes that gain most."""
    gains = plan.gains[:SHOWN]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        _paint_curve(left, plan.curve, plan.level)
        _paint_gains(right, gains)

    last = plan.curve[-1]
    return draw(
        "plan",
        paint,
        size=(10, 4.2),
        title="Learning curve",
        caption=f"{plan.photos:,} photos of {plan.classes} classes, {plan.backbone}; the band is the range of repeats.",
        alt=f"Learning curve up to {percent(last.accuracy)}, and the gains of {len(gains)} classes.",
    )


def _paint_curve(axes: Axes, curve: Sequence[CurvePoint], level: str) -> None:
    x = [point.mean_photos for point in curve]
    axes.fill_between(x, [p.low for p in curve], [p.high for p in curve], color=ACCENT, alpha=0.2, linewidth=0)
    axes.plot(x, [p.accuracy for p in curve], color=ACCENT, marker="o", markersize=4, label=f"{level}, mean recall")
    if level == "breed":
        axes.plot(x, [p.species for p in curve], color=MUTED, linestyle="--", label="species, mean recall")
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:.3g}" for value in x])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set(xlabel=f"photos of each {level}, on average")
    axes.legend(loc="lower right")


def _paint_gains(axes: Axes, gains: Sequence[ClassGain]) -> None:
    y = np.arange(len(gains))
    gain = np.array([found.gain for found in gains])
    low, high = np.array([found.interval for found in gains]).T
    axes.barh(y, gain, color=ACCENT, alpha=0.45, height=0.62)
    lengths = np.clip([gain - low, high - gain], 0, None)
    axes.errorbar(gain, y, xerr=lengths, fmt="o", color=INK, markersize=3, linewidth=1.1, capsize=2)
    axes.set(yticks=y, yticklabels=[f"{short(found.label)} ({found.photos})" for found in gains])
    axes.set(ylim=(len(gains) - 0.4, -0.6), xlabel="recall that its last photos brought")
    axes.xaxis.set_major_formatter(percent_tick)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
