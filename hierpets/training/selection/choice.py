"""Choose among candidates, and estimate how good the choice is on other photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np

from hierpets.bundle.manifest import Selection
from hierpets.config import HeadKind, View
from hierpets.evaluation.metrics.resampling import estimate, groups_of, interval_of_share, mean_of
from hierpets.training.score import Judged, paired_difference
from hierpets.training.selection.candidates import Candidate

__all__ = ["Chosen", "choose", "describe_selection", "judge_selection"]

RESAMPLES = 2000
HEADS, VIEWS = get_args(HeadKind), get_args(View)  # simplest first; only bundles with the first kind of head can grow


class Chosen(NamedTuple):
    """The chosen candidate, how far its criterion is behind the best one, and the standard error of that difference."""

    candidate: Candidate
    behind: float
    error: float


def choose(candidates: Sequence[Candidate], rows: np.ndarray, groups: np.ndarray | None = None) -> Chosen:
    """Choose the cheapest candidate that the best one does not beat by more than a standard error.

    Candidates are compared on the photos where ``rows``, bool [N], is true, photo by photo, or animal by animal if
    ``groups`` int [N] marks photos of the same animal. Among equally cheap ones, simpler heads and views are preferred,
    then the better criterion. (The one-standard-error rule: Breiman et al., "Classification and Regression Trees",
    1984.)
    """
    criteria = np.stack([candidate.criterion[rows] for candidate in candidates])
    totals = criteria.sum(axis=1)
    animals = None if groups is None else groups[rows]
    behind = [paired_difference(row, animals) for row in criteria[totals.argmax()] - criteria]
    close = [i for i, one in enumerate(behind) if not one.is_clear]
    chosen = min(close, key=lambda i: (*_expense(candidates[i]), -totals[i]))
    return Chosen(candidates[chosen], behind=behind[chosen].total, error=behind[chosen].error)


def judge_selection(candidates: Sequence[Candidate], folds: np.ndarray, groups: np.ndarray | None = None) -> Judged:
    """Judge the choice by nested cross-validation: each fold by the candidate that the other folds choose.

    ``folds`` int [N] is the fold of each photo, ``groups`` as in :func:`choose`. The accuracy of the chosen candidate
    itself is too optimistic, because it won partly by luck; see Tsamardinos et al., "Bootstrapping the out-of-sample
    predictions for efficient and accurate cross-validation", Machine Learning 2018.
    """
    right = np.zeros(len(folds), bool)
    for fold in np.unique(folds):
        own = folds == fold
        right[own] = choose(candidates, ~own, groups).candidate.plain.right[own]
    return Judged(right, candidates[0].plain.weights)


def describe_selection(
    candidates: Sequence[Candidate], choice: Chosen, folds: np.ndarray, groups: np.ndarray | None = None
) -> Selection:
    """Return the record of the choice that a bundle keeps; arguments as in :func:`judge_selection`."""
    judged = judge_selection(candidates, folds, groups)
    accuracy = mean_of("nested", judged.right, judged.weights)
    values, intervals = estimate(accuracy, len(folds), seed=0, resamples=RESAMPLES, groups=groups)
    counted = judged.weights > 0
    interval = interval_of_share(
        judged.right[counted], intervals["nested"], judged.weights[counted], groups=groups_of(groups, counted)
    )
    return Selection(
        compared=len(candidates),
        accuracy=choice.candidate.plain.accuracy,
        stressed=choice.candidate.corrupted,
        nested_accuracy=values["nested"],
        interval=interval,
        behind=choice.behind,
        error=choice.error,
    )


def _expense(candidate: Candidate) -> tuple[int, int, int]:
    head, view = candidate.choice.head.kind, candidate.choice.view
    return candidate.multiply_adds, HEADS.index(head), VIEWS.index(view)
