"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hierpets.evaluation.metrics.schema import ClassCurves, PrecisionRecallCurve, RocCurve

__all__ = ["OneVsRest", "one_vs_rest", "points_kept"]

MOST_POINTS = 101  # more cannot be seen in a figure, and make metrics.json large


class OneVsRest(NamedTuple):
    """Both curves of a class and the areas under them; ``pr_auc`` is the average precision."""

    roc_auc: float
    pr_auc: float
    curves: ClassCurves


def one_vs_rest(
    truth: np.ndarray, probabilities: np.ndarray, candidates: np.ndarray, labels: tuple[str, ...]
) -> dict[str, OneVsRest | None]:
    """The curves of each class; None for a class that lacks photos of its own or of others.

    ``truth`` int [N], ``probabilities`` float [N, C]; ``candidates`` bool [N, C] says which photos count for a class.
    """
    return {
        label: _curves_of_class(truth[rows] == c, probabilities[rows, c])
        for c, (label, rows) in enumerate(zip(labels, candidates.T, strict=True))
    }


def _curves_of_class(positive: np.ndarray, score: np.ndarray) -> OneVsRest | None:
    from sklearn.metrics import auc, precision_recall_curve, roc_curve

    if positive.all() or not positive.any():
        return None
    fpr, tpr, _ = roc_curve(positive, score)
    precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
    return OneVsRest(
        # As roc_auc_score and average_precision_score, which would draw both curves again.
        roc_auc=float(auc(fpr, tpr)),
        pr_auc=float(-(np.diff(recall) * precision[:-1]).sum()),
        curves=ClassCurves(
            roc=RocCurve(**_thinned(fpr=fpr, tpr=tpr)),
            pr=PrecisionRecallCurve(**_thinned(recall=recall[::-1], precision=precision[::-1])),
        ),
    )


def _thinned(**axes: np.ndarray) -> dict[str, tuple[float, ...]]:
    keep = points_kept(len(next(iter(axes.values()))))
    return {name: tuple(round(float(v), 5) for v in values[keep]) for name, values in axes.items()}


def points_kept(n: int) -> np.ndarray:
    """int [K]: which of the ``n`` points of a curve a figure shows, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int))
