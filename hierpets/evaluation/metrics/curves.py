"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.evaluation.metrics.schema import ClassCurves, PrecisionRecallCurve, RocCurve

__all__ = ["OneVsRest", "one_vs_rest", "points_kept"]

MAX_POINTS = 101  # more are not visible in a figure, and would make metrics.json large


class OneVsRest(NamedTuple):
    """ROC and precision-recall curve of a class and the areas under them; ``pr_auc`` is the average precision."""

    roc_auc: float
    pr_auc: float
    curves: ClassCurves


def one_vs_rest(
    truth: np.ndarray, probabilities: np.ndarray, candidates: np.ndarray, labels: tuple[str, ...]
) -> dict[str, OneVsRest | None]:
    """Compute the curves of each class; None for a class without photos of its own, or without photos of others.

    ``truth`` int [N], ``probabilities`` float [N, C]; ``candidates`` bool [N, C] selects the photos for each class.
    """
    return {
        label: _curves_of_class(truth[rows] == c, probabilities[rows, c])
        for c, (label, rows) in enumerate(zip(labels, candidates.T, strict=True))
    }


def _curves_of_class(positive: np.ndarray, score: np.ndarray) -> OneVsRest | None:
    """Compute what scikit-learn would, without its input checks, which would take most of the time of an evaluation."""
    if positive.all() or not positive.any():
        return None
    right, wrong = _counts(positive, score)
    corners = _kept(len(right), (np.diff(right, 2) != 0) | (np.diff(wrong, 2) != 0))
    tpr, fpr = (np.append(0.0, counts[corners] / counts[-1]) for counts in (right, wrong))
    steps = _kept(len(right), (np.diff(right[:-1]) != 0) | (np.diff(right[1:]) != 0))
    recall = np.append(0.0, right[steps] / right[-1])
    precision = np.append(1.0, right[steps] / (right + wrong)[steps])
    return OneVsRest(
        roc_auc=float((np.diff(fpr) * (tpr[1:] + tpr[:-1])).sum() / 2),
        pr_auc=float((np.diff(recall) * precision[1:]).sum()),
        curves=ClassCurves(
            roc=RocCurve(**_thinned(fpr=fpr, tpr=tpr)),
            pr=PrecisionRecallCurve(**_thinned(recall=recall, precision=precision)),
        ),
    )


def _counts(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the photos of the class, and the others, that score at least each of the K distinct scores, from the
    highest on; int [K] each.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    right = np.cumsum(positive[order])[last]
    return right, last + 1 - right


def _kept(points: int, changes: np.ndarray) -> np.ndarray:
    """Mask of the points of a curve to keep, bool [K]: its ends, and the inner points where ``changes`` is true."""
    kept = np.ones(points, bool)
    kept[1:-1] = changes
    return kept


def _thinned(**axes: np.ndarray) -> dict[str, tuple[float, ...]]:
    keep = points_kept(len(next(iter(axes.values()))))
    return {name: tuple(round(float(v), 5) for v in values[keep]) for name, values in axes.items()}


def points_kept(n: int) -> np.ndarray:
    """Indices of the at most ``MAX_POINTS`` of ``n`` points of a curve to show, int [K], including both ends."""
    return np.unique(np.linspace(0, n - 1, min(n, MAX_POINTS)).round().astype(int))
