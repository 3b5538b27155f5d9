"""Precision, recall and F1 from weighted class totals, for one evaluation or a thousand resamples at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ClassTotals", "balanced_accuracy", "balanced_weights", "confusion_counts", "divide"]


def divide(numerator: np.ndarray, denominator: np.ndarray, undefined: float) -> np.ndarray:
    """Element-wise quotient, ``undefined`` where the denominator is zero."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(numerator, denominator, out=np.full(denominator.shape, undefined), where=denominator != 0)


def confusion_counts(truth: np.ndarray, guess: np.ndarray, n_classes: int) -> np.ndarray:
    """Confusion matrix, int [C, C]: row ``i``, column ``j`` counts the photos of class ``i`` predicted as ``j``."""
    return np.bincount(truth * n_classes + guess, minlength=n_classes**2).reshape(n_classes, n_classes)


def balanced_weights(classes: np.ndarray) -> np.ndarray:
    """Weight of each photo in a mean over ``classes`` int [N], float [N]; they sum to one."""
    _, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return 1 / counts[index] / len(counts)


def balanced_accuracy(right: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Mean recall over the classes, from ``right`` [..., N] and ``classes`` int [N]; NaN without photos."""
    if len(classes) == 0:
        return np.full(right.shape[:-1], np.nan)
    _, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
    by_class = right[..., np.argsort(index, kind="stable")].astype(float)
    # Sum whole counts: rounding errors of summed weights would make equally good models differ.
    recalls = np.add.reduceat(by_class, np.cumsum(counts) - counts, axis=-1) / counts
    return recalls.mean(axis=-1)


@dataclass(frozen=True, eq=False)
class ClassTotals:
    """How often each of C classes is true, predicted, and predicted correctly: float [R, C] each, for R weightings of
    the photos.

    Zero divisions follow scikit-learn's ``zero_division=0``. Macro averages are over the classes that are true or
    predicted at least once, scikit-learn's default.
    """

    true: np.ndarray
    guessed: np.ndarray
    hits: np.ndarray

    @classmethod
    def count(cls, truth: np.ndarray, guess: np.ndarray, weights: np.ndarray, *, n_classes: int) -> ClassTotals:
        """Count from class indices int [N] and weights float [R, N]."""
        classes = np.eye(n_classes)
        return cls(
            true=weights @ classes[truth],
            guessed=weights @ classes[guess],
            hits=weights @ (classes[truth] * (truth == guess)[:, None]),
        )

    def recall(self) -> np.ndarray:
        return divide(self.hits, self.true, 0.0)

    def precision(self) -> np.ndarray:
        return divide(self.hits, self.guessed, 0.0)

    def f1(self) -> np.ndarray:
        return divide(2 * self.hits, self.true + self.guessed, 0.0)

    def summary(self) -> dict[str, np.ndarray]:
        """Averages over the classes and overall accuracy, each float [R]."""
        return {
            "macro_recall": self._macro(self.recall()),
            "macro_precision": self._macro(self.precision()),
            "macro_f1": self._macro(self.f1()),
            "balanced_accuracy": self._balanced_accuracy(),
            "mcc": self._mcc(),
            "accuracy": divide(self.hits.sum(axis=-1), self.true.sum(axis=-1), np.nan),
        }

    def _macro(self, scores: np.ndarray) -> np.ndarray:
        present = (self.true + self.guessed) > 0
        return divide((scores * present).sum(axis=-1), present.sum(axis=-1), np.nan)

    def _balanced_accuracy(self) -> np.ndarray:
        return divide(self.recall().sum(axis=-1), (self.true > 0).sum(axis=-1), np.nan)

    def _mcc(self) -> np.ndarray:
        """Matthews correlation of K classes (Gorodkin 2004); 0 if all photos have one true or one predicted class."""
        n = self.true.sum(axis=-1)
        covariance = self.hits.sum(axis=-1) * n - (self.true * self.guessed).sum(axis=-1)
        spread_true = n**2 - (self.true**2).sum(axis=-1)
        spread_guessed = n**2 - (self.guessed**2).sum(axis=-1)
        return divide(covariance, np.sqrt(spread_true * spread_guessed), 0.0)
