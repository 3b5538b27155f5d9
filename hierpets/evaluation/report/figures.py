"""The figures of a report, drawn from the numbers of ``metrics.json`` alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from hierpets.evaluation.metrics.schema import ClassCurves, ClassScores, LevelMetrics, SelectiveMetrics
from hierpets.evaluation.report.bars import name_bars, paint_bars
from hierpets.evaluation.report.drawing import ACCENT, MUTED, PANEL, SERIES, Drawing, draw, short
from hierpets.figures import percent_tick
from hierpets.text import capital, percent, pretty, told_apart

__all__ = [
    "answer_levels",
    "breed_bars",
    "curves",
    "reliability_diagram",
    "risk_coverage_curve",
]

Tree = Mapping[str, Sequence[str]]

_CURVE = (4.4, 3.5)


def breed_bars(breed: LevelMetrics, tree: Tree) -> Iterator[Drawing]:
    """Draw the recall of each breed with its interval, one figure per species, the worst breed at the top."""
    for s, (species, breeds) in enumerate(tree.items()):
        scores = {b: breed.per_class[f"{species}/{b}"] for b in breeds if breed.per_class[f"{species}/{b}"].support}
        if scores:
            yield _bars(dict(sorted(scores.items(), key=lambda item: item[1].recall)), species, s)


def _bars(scores: Mapping[str, ClassScores], species: str, s: int) -> Drawing:
    recall = [c.recall for c in scores.values()]
    names = [f"{short(b)} ({c.support})" for b, c in scores.items()]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        paint_bars(axes, names, recall, [c.recall_interval for c in scores.values() if c.recall_interval])
        axes.set_xlim(0, 1.02)

    worst = next(iter(scores))
    return draw(
        f"recall_breeds_{s}",
        paint,
        size=(4.7, 0.75 + 0.235 * len(names)),
        title=f"{capital(pretty(species))} breeds: recall",
        caption="Recall of each breed with its 95% Wilson interval; number of photos in parentheses.",
        alt=f"Recall of {len(names)} breeds, from {pretty(worst)} {percent(recall[0])} to {percent(recall[-1])}.",
    )


def reliability_diagram(level: LevelMetrics, name: str) -> Drawing:
    """Draw accuracy against confidence in bins, and the number of photos in each."""
    bins = [b for b in level.calibration.bins if b.n]

    def paint(figure: Figure) -> None:
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfectly calibrated")
        x, y = [b.confidence for b in bins], [b.accuracy for b in bins]
        low, high = np.array([b.accuracy_interval for b in bins]).T
        top.vlines(x, low, high, color=ACCENT, alpha=0.35, linewidth=2)
        most = max(b.n for b in bins)
        top.scatter(x, y, [10 + 70 * b.n / most for b in bins], color=ACCENT, label="this model", zorder=3)
        top.set(xlim=(0, 1.02), ylim=(0, 1.04), ylabel="accuracy")
        figure.legend(loc="outside upper left", ncols=2)  # inside, it would cover the wide intervals of small bins
        below.bar([b.low for b in bins], [b.n for b in bins], [b.high - b.low for b in bins], align="edge",
                  color=ACCENT, alpha=0.45, edgecolor=PANEL)  # fmt: skip
        below.set(xlabel="confidence", ylabel="photos")
        for axis in (top.xaxis, top.yaxis):
            axis.set_major_formatter(percent_tick)

    error = f"expected calibration error {100 * level.ece:.1f} points"
    return draw(
        f"reliability_{name}",
        paint,
        size=(4.4, 4.3),
        title=f"Reliability diagram: {name}",
        caption=f"Below the dashed line the model is overconfident; bars are 95% intervals; {error}.",
        alt=f"Reliability diagram of the {name}: {error}.",
    )


class _CurveKind(NamedTuple):
    """A kind of curve: its labels and style, and how to get its points and areas from the metrics."""

    title: str
    xlabel: str
    ylabel: str
    points: Callable[[ClassCurves], tuple[Sequence[float], Sequence[float]]]
    area: Callable[[ClassScores], float | None]
    mean_area: Callable[[LevelMetrics], float | None]
    drawstyle: str
    legend: Literal["lower right", "lower left"]


_CURVES = {
    "roc": _CurveKind(
        "ROC",
        "false positive rate",
        "true positive rate",
        points=lambda c: (c.roc.fpr, c.roc.tpr),
        area=lambda scores: scores.roc_auc,
        mean_area=lambda level: level.macro_roc_auc,
        drawstyle="default",
        legend="lower right",
    ),
    "pr": _CurveKind(
        "Precision-recall",
        "recall",
        "precision",
        points=lambda c: (c.pr.recall, c.pr.precision),
        area=lambda scores: scores.pr_auc,
        mean_area=lambda level: level.macro_pr_auc,
        drawstyle="steps-pre",
        legend="lower left",
    ),
}


def curves(level: LevelMetrics, name: str, kind: Literal["roc", "pr"]) -> Drawing | None:
    """Draw the ROC or precision-recall curve of each class against the rest, and name the three with the smallest area.

    Return None if no class has both photos of its own and photos of others.
    """
    curve = _CURVES[kind]
    found = {label: curve.points(c) for label, c in level.curves.items() if c}
    if not found:
        return None
    areas = {label: curve.area(level.per_class[label]) or 0.0 for label in found}
    named = sorted(areas, key=lambda label: areas[label])[:3]
    names = told_apart(areas)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for points in (points for label, points in found.items() if label not in named):
            axes.plot(*points, color=MUTED, alpha=0.35, linewidth=0.9, drawstyle=curve.drawstyle)
        for color, label in zip(SERIES[::-1], named, strict=False):
            key = f"{short(names[label])} {areas[label]:.3f}"
            axes.plot(*found[label], color=color, drawstyle=curve.drawstyle, label=key)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), xlabel=curve.xlabel, ylabel=curve.ylabel)
        axes.legend(loc=curve.legend)

    mean = f"mean area {curve.mean_area(level):.3f} over {len(found)} classes"
    return draw(
        f"{kind}_{name}",
        paint,
        size=_CURVE,
        title=f"{curve.title}: {name}",
        caption=f"Each class against the rest; the three with the smallest area are named; {mean}.",
        alt=f"{curve.title} curves of the {name}: {mean}.",
    )


def risk_coverage_curve(selective: SelectiveMetrics) -> Drawing:
    """Draw the error rate among the most confident photos, and mark the predictions that the model returned."""
    levels = selective.by_level

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for color, (name, level) in zip(SERIES, levels.items(), strict=False):
            axes.plot(level.curve.coverage, level.curve.risk, color=color, label=name)
            if level.risk is not None:
                axes.plot(level.coverage, level.risk, "o", color=color, markersize=7)
        worst = max(max(*level.curve.risk, level.risk or 0.0) for level in levels.values())
        axes.set(xlim=(0, 1.02), ylim=(-0.02 * worst, max(1.08 * worst, 0.01)), xlabel="coverage", ylabel="error rate")
        axes.xaxis.set_major_formatter(percent_tick)
        axes.yaxis.set_major_formatter(percent_tick)
        axes.legend(loc="upper left")

    points = "; ".join(
        f"{name} coverage {percent(level.coverage)}, error rate {percent(level.risk)}" for name, level in levels.items()
    )
    return draw(
        "risk_coverage",
        paint,
        size=_CURVE,
        title="Risk-coverage curve",
        caption="Error rate among the most confident photos. The dots mark the predictions that the model returned.",
        alt=f"Risk-coverage curve. As returned: {points}.",
    )


def answer_levels(selective: SelectiveMetrics) -> Drawing:
    """Draw the shares of each level among the predictions, per species."""
    per_species = selective.node.per_species
    shades = {"breed": (ACCENT, 0.75), "species": (ACCENT, 0.3), "unknown": (MUTED, 0.35)}

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        left = np.zeros(len(per_species))
        for level, (color, alpha) in shades.items():
            share = np.array([getattr(found, level) for found in per_species.values()])
            axes.barh(np.arange(len(left)), share, left=left, color=color, alpha=alpha, height=0.6, label=level)
            left += share
        name_bars(axes, [f"{short(species)} ({found.n})" for species, found in per_species.items()])
        axes.set_xlim(0, 1)
        figure.legend(loc="outside upper left", ncols=3)

    shares = ", ".join(f"{level} {percent(getattr(selective.answers, level))}" for level in shades)
    return draw(
        "answers",
        paint,
        size=(4.4, 1.1 + 0.4 * len(per_species)),
        title="Level of predictions by species",
        caption=f"Over all photos: {shares}.",
        alt=f"Fraction predicted at each level: {shares}.",
    )
