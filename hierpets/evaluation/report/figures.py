"""The figures of a report, each from the numbers of ``metrics.json`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.report.drawing import ACCENT, BAD, INK, MUTED, PANEL, SERIES, Drawing, draw
from hierpets.evaluation.report.ordering import confused_together
from hierpets.evaluation.report.words import percent, pretty, short

__all__ = [
    "answers",
    "breed_bars",
    "breed_confusions",
    "curves",
    "reliability",
    "risk_against_coverage",
    "species_confusion",
]

_CURVE = (4.4, 3.5)
_ELSEWHERE = "another species"
# The least and the most opaque a cell of a confusion matrix may be, so that ink on it stays readable in both themes.
_FAINT, _STRONG = 0.06, 0.5


def species_confusion(metrics: Mapping[str, Any]) -> Drawing:
    matrix = metrics["species"]["confusion_matrix"]
    counts = np.array(matrix["counts"])
    return _confusion(counts, list(matrix["labels"]), name="confusion_species", title="Species taken for species")


def breed_confusions(metrics: Mapping[str, Any]) -> Iterator[Drawing]:
    """One matrix for each species with two breeds or more that have photos, confused breeds side by side."""
    matrix = metrics["breed"]["confusion_matrix"]
    labels, counts = matrix["labels"], np.array(matrix["counts"])
    for s, (species, breeds) in enumerate(metrics["taxonomy"].items()):
        rows = np.array([labels.index(f"{species}/{breed}") for breed in breeds], dtype=int)
        if len(rows) < 2 or not counts[rows].any():
            continue
        within = counts[np.ix_(rows, rows)]
        order = confused_together(within)
        elsewhere = counts[rows].sum(axis=1) - within.sum(axis=1)
        yield _confusion(
            within[np.ix_(order, order)],
            [breeds[i] for i in order],
            name=f"confusion_breeds_{s}",
            title=f"{pretty(species).capitalize()} breeds taken for each other",
            elsewhere=elsewhere[order],
        )


def _confusion(
    counts: np.ndarray, names: list[str], *, name: str, title: str, elsewhere: np.ndarray | None = None
) -> Drawing:
    """Rows are the truth, columns the answer; blue is right, red is wrong, deeper the larger the share of the row."""
    columns = [short(n) for n in names]
    if elsewhere is not None and elsewhere.any():
        counts = np.column_stack([counts, elsewhere])
        columns.append(_ELSEWHERE)
        title_note = f" The last column counts photos called {_ELSEWHERE}."
    else:
        title_note = ""
    rows = [short(n) for n in names]
    shares = divide(counts, counts.sum(axis=1, keepdims=True), 0.0)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for (i, j), count in np.ndenumerate(counts):
            if count:
                _cell(axes, (j, i), count=int(count), share=float(shares[i, j]), right=i == j)
        _matrix_axes(axes, rows, columns)

    longest = max(len(n) for n in columns) * 0.075
    size = (longest + 0.7 + 0.31 * len(columns), longest + 0.7 + 0.31 * len(rows))
    wrong = int(counts.sum() - np.trace(counts))
    return draw(
        name,
        paint,
        size=(max(size[0], 3.2), max(size[1], 2.4)),
        title=title,
        caption=f"Rows: what it is. Columns: what it was called. Blue: right, red: wrong.{title_note}",
        alt=f"Confusion matrix of {len(rows)} classes: {counts.sum() - wrong} photos right, {wrong} wrong.",
    )


def _cell(axes: Axes, at: tuple[int, int], *, count: int, share: float, right: bool) -> None:
    alpha = _FAINT + (_STRONG - _FAINT) * np.sqrt(share)
    axes.add_patch(Rectangle(at, 1, 1, facecolor=ACCENT if right else BAD, alpha=alpha, linewidth=0))
    size = 9 if count < 1000 else 7
    text = axes.text(at[0] + 0.5, at[1] + 0.5, str(count), ha="center", va="center", fontsize=size, color=INK)
    text.set_in_layout(False)  # it lies inside the axes, and measuring hundreds takes seconds


def _matrix_axes(axes: Axes, rows: list[str], columns: list[str]) -> None:
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0), aspect="equal")
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=90)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.set_xticks(np.arange(len(columns) + 1), minor=True)
    axes.set_yticks(np.arange(len(rows) + 1), minor=True)
    axes.tick_params(which="both", length=0)
    axes.grid(False, which="major")
    axes.grid(True, which="minor")
    axes.spines[:].set_visible(False)
    axes.set_xlabel("called")
    axes.set_ylabel("it is")


def breed_bars(metrics: Mapping[str, Any]) -> Iterator[Drawing]:
    """Recall of each breed with its interval, one figure a species, the worst at the top."""
    per_class = metrics["breed"]["per_class"]
    for s, (species, breeds) in enumerate(metrics["taxonomy"].items()):
        scores = {b: per_class[f"{species}/{b}"] for b in breeds if per_class[f"{species}/{b}"]["support"]}
        if scores:
            yield _bars(dict(sorted(scores.items(), key=lambda item: item[1]["recall"])), species, s)


def _bars(scores: dict[str, Any], species: str, s: int) -> Drawing:
    recall = np.array([c["recall"] for c in scores.values()])
    low, high = np.array([c["recall_interval"] for c in scores.values()]).T
    names = [f"{short(b)} ({c['support']})" for b, c in scores.items()]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        y = np.arange(len(names))
        axes.barh(y, recall, color=ACCENT, alpha=0.45, height=0.62)
        # An interval of all hits ends at 1 a rounding error below the recall: lengths must not be negative.
        lengths = np.clip([recall - low, high - recall], 0, None)
        axes.errorbar(recall, y, xerr=lengths, fmt="o", color=INK, markersize=3, linewidth=1.1, capsize=2)
        axes.set(yticks=y, yticklabels=names, ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.02))
        axes.xaxis.set_major_formatter(_percent_ticks)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")

    worst = next(iter(scores))
    return draw(
        f"recall_breeds_{s}",
        paint,
        size=(4.7, 0.75 + 0.235 * len(names)),
        title=f"{pretty(species).capitalize()} breeds: share found",
        caption="Recall of each breed, its photos in brackets, with its 95 % Wilson interval.",
        alt=f"Recall of {len(names)} breeds, from {pretty(worst)} {percent(recall[0])} to {percent(recall[-1])}.",
    )


def _percent_ticks(value: float, _position: float) -> str:
    return f"{100 * value:.0f} %"


def reliability(metrics: Mapping[str, Any], level: str) -> Drawing:
    """Accuracy against confidence in bins, and how many photos are in each."""
    bins = [b for b in metrics[level]["calibration"]["bins"] if b["n"]]
    ece = metrics[level]["ece"]

    def paint(figure: Figure) -> None:
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="as sure as right")
        x, y = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        low, high = np.array([b["accuracy_interval"] for b in bins]).T
        top.vlines(x, low, high, color=ACCENT, alpha=0.35, linewidth=2)
        most = max(b["n"] for b in bins)
        sizes = [10 + 70 * b["n"] / most for b in bins]
        top.scatter(x, y, sizes, color=ACCENT, label="the model", zorder=3)
        top.set(xlim=(0, 1.02), ylim=(0, 1.04), ylabel="right")
        top.legend(loc="lower right")
        below.bar([b["low"] for b in bins], [b["n"] for b in bins], [b["high"] - b["low"] for b in bins], align="edge",
                  color=ACCENT, alpha=0.45, edgecolor=PANEL)  # fmt: skip
        below.set(xlabel="says", ylabel="photos")
        for axis in (top.xaxis, top.yaxis):
            axis.set_major_formatter(_percent_ticks)

    return draw(
        f"reliability_{level}",
        paint,
        size=(4.4, 4.3),
        title=f"Is it as right as it is sure? {level.capitalize()}",
        caption=f"Below the dashed line it is over-confident; bars are 95 % intervals. "
        f"Expected calibration error {100 * ece:.1f} points.",
        alt=f"Reliability diagram of the {level}: expected calibration error {100 * ece:.1f} points.",
    )


_CURVES = {
    "roc": ("fpr", "tpr", "false positive rate", "true positive rate", "ROC", "roc_auc"),
    "pr": ("recall", "precision", "recall", "precision", "Precision and recall", "pr_auc"),
}


def curves(metrics: Mapping[str, Any], level: str, kind: str) -> Drawing | None:
    """ROC ("roc") or precision-recall ("pr") of each class against the rest; the three of least area are named.

    None when no class has both photos and others against it.
    """
    x, y, xlabel, ylabel, title, area = _CURVES[kind]
    found = {label: c[kind] for label, c in metrics[level]["curves"].items() if c}
    if not found:
        return None
    areas = {label: metrics[level]["per_class"][label][area] for label in found}
    named = sorted(areas, key=lambda label: areas[label])[:3]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        steps = "steps-pre" if kind == "pr" else "default"
        for curve in (curve for label, curve in found.items() if label not in named):
            axes.plot(curve[x], curve[y], color=MUTED, alpha=0.35, linewidth=0.9, drawstyle=steps)
        for color, label in zip(SERIES[::-1], named, strict=False):
            name = f"{short(label)} {areas[label]:.3f}"
            axes.plot(found[label][x], found[label][y], color=color, drawstyle=steps, label=name)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), xlabel=xlabel, ylabel=ylabel)
        axes.legend(loc="lower right" if kind == "roc" else "lower left")

    return draw(
        f"{kind}_{level}",
        paint,
        size=_CURVE,
        title=f"{title}: {level}",
        caption=f"Each class against the rest; those of least area are named. Mean area "
        f"{metrics[level][f'macro_{area}']:.3f} over {len(found)} classes.",
        alt=f"{title} curves of {len(found)} classes, mean area {metrics[level][f'macro_{area}']:.3f}.",
    )


def risk_against_coverage(metrics: Mapping[str, Any]) -> Drawing:
    """The share of mistakes when only the surest photos are answered, and where the model's own threshold stands."""
    trades = {level: metrics["selective"][level] for level in ("species", "breed") if metrics["selective"][level]}

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for color, (level, trade) in zip(SERIES, trades.items(), strict=False):
            axes.plot(trade["curve"]["coverage"], trade["curve"]["risk"], color=color, label=level)
            if trade["risk"] is not None:
                axes.plot(trade["coverage"], trade["risk"], "o", color=color, markersize=7)
        worst = max(max(trade["curve"]["risk"] + [trade["risk"] or 0]) for trade in trades.values())
        axes.set(xlim=(0, 1.02), ylim=(-0.02 * worst, max(1.08 * worst, 0.01)), xlabel="answered", ylabel="wrong")
        axes.xaxis.set_major_formatter(_percent_ticks)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.{0 if worst > 0.04 else 1}f} %")
        axes.legend(loc="upper left")

    points = "; ".join(
        f"{level} {percent(t['coverage'])} answered, {percent(t['risk'])} wrong" for level, t in trades.items()
    )
    return draw(
        "risk_coverage",
        paint,
        size=_CURVE,
        title="What caution buys",
        caption="Mistakes among the photos that are answered, the surest first. The dots are the answers it gave.",
        alt=f"Risk against coverage. As answered: {points}.",
    )


def answers(metrics: Mapping[str, Any]) -> Drawing:
    """How far down the tree it answered, for each species."""
    per_species = metrics["selective"]["node"]["per_species"]
    shades = {"breed": (ACCENT, 0.75), "species": (ACCENT, 0.3), "unknown": (MUTED, 0.35)}

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        left = np.zeros(len(per_species))
        for level, (color, alpha) in shades.items():
            share = np.array([found[level] for found in per_species.values()])
            axes.barh(np.arange(len(left)), share, left=left, color=color, alpha=alpha, height=0.6, label=level)
            left += share
        names = [f"{short(species)} ({found['n']})" for species, found in per_species.items()]
        axes.set(yticks=np.arange(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6), xlim=(0, 1))
        axes.xaxis.set_major_formatter(_percent_ticks)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        figure.legend(loc="outside upper left", ncols=3)

    shares = metrics["selective"]["answers"]
    said = ", ".join(f"{level} {percent(shares[level])}" for level in shades)
    return draw(
        "answers",
        paint,
        size=(4.4, 1.1 + 0.4 * len(per_species)),
        title="How far it dared to answer",
        caption=f"Over all photos: {said}.",
        alt=f"Shares of answers: {said}.",
    )
