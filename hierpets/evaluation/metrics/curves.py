"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["one_vs_rest"]

# More points than this cannot be seen in a figure, and make metrics.json large.
_MAX_POINTS = 101


def one_vs_rest(
    truth: np.ndarray, probabilities: np.ndarray, candidates: np.ndarray, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Per class: ``roc_auc``, ``pr_auc`` (average precision), and both curves; None for a class without both sides.

    ``truth`` int [N], ``probabilities`` float [N, C]; ``candidates`` bool [N, C] says which photos count for a class.
    """
    return {
        label: _curves_of_class(truth[rows] == c, probabilities[rows, c])
        for c, (label, rows) in enumerate(zip(labels, candidates.T, strict=True))
    }


def _curves_of_class(positive: np.ndarray, score: np.ndarray) -> dict[str, Any] | None:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    if positive.all() or not positive.any():
        return None
    fpr, tpr, _ = roc_curve(positive, score)
    precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
    return {
        "roc_auc": float(roc_auc_score(positive, score)),
        # A sum of many steps may end a rounding error above 1.
        "pr_auc": min(1.0, float(average_precision_score(positive, score))),
        "roc": _thinned(fpr=fpr, tpr=tpr),
        "pr": _thinned(recall=recall[::-1], precision=precision[::-1]),
    }


def _thinned(**axes: np.ndarray) -> dict[str, list[float]]:
    """At most ``_MAX_POINTS`` of the curve's own points, the first and the last among them."""
    n = len(next(iter(axes.values())))
    keep = np.unique(np.linspace(0, n - 1, min(n, _MAX_POINTS)).round().astype(int))
    return {name: [round(float(v), 5) for v in values[keep]] for name, values in axes.items()}
