"""Confusion matrices, drawn from the counts of ``metrics.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.metrics.schema import LevelMetrics, Metrics
from hierpets.evaluation.report.drawing import ACCENT, BAD, INK, Drawing, draw, short
from hierpets.evaluation.report.ordering import confused_together
from hierpets.text import counted, pretty

__all__ = ["breed_confusions", "species_confusion"]

_ELSEWHERE = "another species"
# Limits of a cell's opacity, so that text on it stays readable in both themes.
_FAINT, _STRONG = 0.06, 0.5


def species_confusion(metrics: Metrics) -> Drawing:
    """Draw the confusion matrix of the species."""
    matrix = metrics.species.confusion_matrix
    return _confusion(
        np.array(matrix.counts), matrix.labels, name="confusion_species", title="Confusion matrix: species"
    )


def breed_confusions(breed: LevelMetrics, tree: Mapping[str, Sequence[str]]) -> Iterator[Drawing]:
    """Draw a matrix per species, of the breeds that have photos or are predicted, with confused breeds side by side."""
    labels, counts = breed.confusion_matrix.labels, np.array(breed.confusion_matrix.counts)
    for s, (species, all_breeds) in enumerate(tree.items()):
        index = {name: labels.index(f"{species}/{name}") for name in all_breeds}
        breeds = [name for name, row in index.items() if counts[row].any() or counts[:, row].any()]
        rows = np.array([index[name] for name in breeds], dtype=int)
        if len(rows) < 2 or not counts[rows].any():
            continue
        within = counts[np.ix_(rows, rows)]
        order = confused_together(within)
        elsewhere = counts[rows].sum(axis=1) - within.sum(axis=1)
        yield _confusion(
            within[np.ix_(order, order)],
            [breeds[i] for i in order],
            name=f"confusion_breeds_{s}",
            title=f"Confusion matrix: {pretty(species)} breeds",
            elsewhere=elsewhere[order],
        )


def _confusion(
    counts: np.ndarray, names: Sequence[str], *, name: str, title: str, elsewhere: np.ndarray | None = None
) -> Drawing:
    """Draw a confusion matrix. Blue is right, red is wrong; the larger the share of the row, the deeper the color."""
    columns = [short(n) for n in names]
    if elsewhere is not None and elsewhere.any():
        counts = np.column_stack([counts, elsewhere])
        columns.append(_ELSEWHERE)
        note = f" The last column counts predictions of {_ELSEWHERE}."
    else:
        note = ""
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
    right = int(np.trace(counts))
    return draw(
        name,
        paint,
        size=(max(size[0], 3.2), max(size[1], 2.4)),
        title=title,
        caption=f"Rows: true class. Columns: predicted class. Blue: right, red: wrong.{note}",
        alt=f"Confusion matrix of {len(rows)} classes: {counted(right, 'photo')} right, {counts.sum() - right} wrong.",
    )


def _cell(axes: Axes, at: tuple[int, int], *, count: int, share: float, right: bool) -> None:
    alpha = _FAINT + (_STRONG - _FAINT) * np.sqrt(share)
    axes.add_patch(Rectangle(at, 1, 1, facecolor=ACCENT if right else BAD, alpha=alpha, linewidth=0))
    size = 9 if count < 1000 else 7
    text = axes.text(at[0] + 0.5, at[1] + 0.5, str(count), ha="center", va="center", fontsize=size, color=INK)
    text.set_in_layout(False)  # it is inside the axes anyway, and measuring hundreds of texts takes seconds


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
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
