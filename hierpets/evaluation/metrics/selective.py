"""Selective classification: risk against coverage, and how often the returned prediction is true."""

from __future__ import annotations

import numpy as np

from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.metrics.curves import points_kept
from hierpets.evaluation.metrics.levels import LevelPredictions, breed_level, species_level
from hierpets.evaluation.metrics.resampling import groups_of, wilson_interval_of
from hierpets.evaluation.metrics.schema import (
    AllNodeTruth,
    AnswerShares,
    NodeTruth,
    RiskCurve,
    SelectiveLevel,
    SelectiveMetrics,
    SetTruth,
    SpeciesNodeTruth,
)
from hierpets.evaluation.predictions import BREED, SPECIES, UNKNOWN, Predictions

__all__ = ["risk_coverage", "selective_metrics"]

COVERAGES = (0.80, 0.90, 0.95)


def risk_coverage(confidence: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Share of mistakes among the k+1 most confident photos, for k = 0 .. N-1; float [N].

    Photos of equal confidence share their mistakes equally, so that the order of the photos does not matter.
    """
    distinct, group, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    mistakes = np.bincount(group, 1.0 - hit, len(distinct)) / sizes
    return np.cumsum(np.repeat(mistakes, sizes)) / np.arange(1, len(hit) + 1)


def selective_metrics(predictions: Predictions, *, alpha: float | None = None) -> SelectiveMetrics:
    """Compute the shares of each level, how often the returned node is true, and the risk-coverage trade-off of both
    levels.

    ``alpha`` is the share of wrong answers that the model promises not to exceed, None if it promises nothing.
    """
    named = predictions.level != UNKNOWN
    breed = breed_level(predictions)
    as_breed = (predictions.level == BREED)[predictions.breed_known]
    return SelectiveMetrics(
        alpha=alpha,
        answers=_answer_shares(predictions.level),
        node=_node_truth(predictions),
        breed_sets=_set_truth(predictions),
        species=_trade_off(species_level(predictions), named, _is_named_species_right(predictions)),
        breed=_breed_trade_off(predictions, breed, as_breed) if breed else None,
    )


def _answer_shares(level: np.ndarray) -> AnswerShares:
    breed, species, unknown = ((level == name).mean() for name in (BREED, SPECIES, UNKNOWN))
    return AnswerShares(n=len(level), breed=breed, species=species, unknown=unknown)


def _is_named_species_right(predictions: Predictions) -> np.ndarray:
    return predictions.named_species == predictions.species_true


def _is_named_breed_right(predictions: Predictions) -> np.ndarray:
    known = predictions.breed_known
    return (predictions.node[known] == predictions.leaf_true[known]) & (predictions.level[known] == BREED)


def _node_truth(predictions: Predictions) -> AllNodeTruth:
    """How often the prediction is the label or an ancestor of it, over all photos and by species.

    A prediction at breed level of the correct species cannot be judged if the photo's breed is not labeled: such photos
    are counted, but left out.
    """
    right_species = _is_named_species_right(predictions)
    as_breed, as_set = predictions.level == BREED, predictions.set_sizes > 0
    judged = ~((as_breed | as_set) & right_species & (predictions.leaf_true < 0))
    per_species = {}
    for s in np.unique(predictions.species_true):
        rows = predictions.species_true == s
        truth = _truth_of(predictions, judged & rows)
        shares = _answer_shares(predictions.level[rows])
        per_species[predictions.taxonomy.species[s]] = SpeciesNodeTruth(**dict(shares), **dict(truth))
    return AllNodeTruth(n_not_judged=(~judged).sum(), per_species=per_species, **dict(_truth_of(predictions, judged)))


def _set_truth(predictions: Predictions) -> SetTruth:
    """How many photos with a labeled breed are answered by a set of breeds, and how often it contains the true one."""
    known, sizes = predictions.breed_known, predictions.set_sizes
    sets = known & (sizes > 0)
    n, holds = int(known.sum()), predictions.set_holds_truth[sets]
    return SetTruth(
        n=n,
        share=sets.sum() / n if n else None,
        mean_size=sizes[sets].mean() if len(holds) else None,
        holds_truth=holds.mean() if len(holds) else None,
        holds_truth_interval=wilson_interval_of(holds, groups=groups_of(predictions.groups, sets)),
    )


def _truth_of(predictions: Predictions, judged: np.ndarray) -> NodeTruth:
    holds = predictions.holds_truth
    answered = judged & (predictions.level != UNKNOWN)
    return NodeTruth(
        n_judged=judged.sum(),
        holds_truth=holds[judged].mean() if judged.any() else None,
        holds_truth_interval=wilson_interval_of(holds[judged], groups=groups_of(predictions.groups, judged)),
        right_when_answered=holds[answered].mean() if answered.any() else None,
    )


def _breed_trade_off(predictions: Predictions, breed: LevelPredictions, as_breed: np.ndarray) -> SelectiveLevel:
    """Trade-off by the confidence that the decision uses: the probability that the breed is listed, and is this one."""
    listed = 1.0 if predictions.listed is None else predictions.listed[predictions.breed_known]
    return _trade_off(breed, as_breed, _is_named_breed_right(predictions), confidence=breed.confidence * listed)


def _trade_off(
    level: LevelPredictions, answered: np.ndarray, right: np.ndarray, *, confidence: np.ndarray | None = None
) -> SelectiveLevel:
    """Coverage and risk of the returned predictions, and of every other threshold on the ``confidence`` [N].

    The default is the level's confidence. AURC is the mean risk over all coverages (Geifman et al., ICLR 2019).
    """
    risk = risk_coverage(level.confidence if confidence is None else confidence, level.hit)
    n = len(risk)
    points = points_kept(n)
    return SelectiveLevel(
        n=n,
        coverage=answered.mean(),
        risk=float(divide((answered & ~right).sum(), answered.sum(), np.nan)),
        aurc=risk.mean(),
        accuracy_at_coverage={f"{c:.2f}": float(1 - risk[int(np.ceil(c * n - 1e-9)) - 1]) for c in COVERAGES},
        curve=RiskCurve(coverage=((points + 1) / n).round(5), risk=risk[points].round(5)),
    )
