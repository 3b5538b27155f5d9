"""How much worse a model is on other photos than on its own, over the classes that both have."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import NamedTuple

from hierpets.evaluation.metrics.resampling import wilson_interval
from hierpets.evaluation.metrics.schema import ClassScores, Metrics
from hierpets.text import counted

__all__ = ["Drop", "find_drop"]


class Drop(NamedTuple):
    """Balanced accuracy ``there``, on other photos, and ``here``; the 95% ``interval`` of here minus there."""

    level: str
    classes: int
    photos: int
    there: float
    here: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = (100 * bound for bound in self.interval)
        return (
            f"{self.there:.1%} on {counted(self.photos, 'photo')} (classes that both have: {self.classes}), a drop of "
            f"{100 * (self.here - self.there):.1f} points ({low:.1f} to {high:.1f}) from {self.here:.1%}"
        )


def find_drop(own: Metrics, other: Metrics) -> Drop | None:
    """Find the drop at the finest level at which both have photos of the same classes; None if there is none.

    Its interval is combined from those of both (Newcombe, "Interval estimation for the difference between independent
    proportions", 1998, method 10).
    """
    for level in ("breed", "species"):
        of_own, of_other = (_measured(metrics, level) for metrics in (own, other))
        if shared := [label for label in of_own if label in of_other]:
            here, low, high = _balanced([of_own[label] for label in shared])
            scores = [of_other[label] for label in shared]
            there, low_there, high_there = _balanced(scores)
            interval = (
                here - there - hypot(here - low, high_there - there),
                here - there + hypot(high - here, there - low_there),
            )
            return Drop(level, len(shared), sum(one.support for one in scores), there, here, interval)
    return None


def _measured(metrics: Metrics, level: str) -> dict[str, ClassScores]:
    found = metrics.by_level.get(level)
    return {label: scores for label, scores in found.per_class.items() if scores.support} if found else {}


def _balanced(scores: Sequence[ClassScores]) -> tuple[float, float, float]:
    """Balanced accuracy and its 95% interval: Wilson's, of the effective sample size of all classes together (Kish)."""
    mean = sum(one.recall for one in scores) / len(scores)
    n = len(scores) ** 2 / sum(1 / one.effective_size for one in scores)
    low, high = wilson_interval(mean * n, n) or (0.0, 1.0)
    return mean, low, high
