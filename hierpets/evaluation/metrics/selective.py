"""What is gained by not always answering: risk against coverage, and how often the returned answer is true."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.metrics.levels import Level, breed_level, species_level
from hierpets.evaluation.metrics.resampling import wilson_interval
from hierpets.evaluation.predictions import BREED, SPECIES, UNKNOWN, Predictions

__all__ = ["risk_coverage", "selective_metrics"]

COVERAGES = (0.80, 0.90, 0.95)
_CURVE_POINTS = 101


def risk_coverage(confidence: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """float [N]: the share of mistakes among the k+1 most confident photos, k = 0 .. N-1.

    Photos of equal confidence share their mistakes equally, so that the order in which they came does not matter.
    """
    distinct, group, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    mistakes = np.bincount(group, 1.0 - hit, len(distinct)) / sizes
    risk: np.ndarray = np.cumsum(np.repeat(mistakes, sizes)) / np.arange(1, len(hit) + 1)
    return np.minimum(risk, 1.0)  # thirds of a mistake add up to a rounding error above one


def selective_metrics(predictions: Predictions) -> dict[str, Any]:
    """Shares of answers, truth of the returned node, and the risk-coverage trade of both levels."""
    named = predictions.level != UNKNOWN
    breed = breed_level(predictions)
    as_breed = (predictions.level == BREED)[predictions.breed_known]
    return {
        "answers": _answer_shares(predictions.level),
        "node": _node_truth(predictions),
        "species": _trade(species_level(predictions), named, _species_named_rightly(predictions)),
        "breed": _trade(breed, as_breed, _breed_named_rightly(predictions)) if breed else None,
    }


def _answer_shares(level: np.ndarray) -> dict[str, Any]:
    return {"n": len(level), **{name: float((level == name).mean()) for name in (BREED, SPECIES, UNKNOWN)}}


def _named_species(predictions: Predictions) -> np.ndarray:
    """int [N]: the species in the answer, -1 for "unknown"."""
    leaf = np.where(predictions.level == BREED, predictions.node, 0)
    return np.select(
        [predictions.level == BREED, predictions.level == SPECIES],
        [predictions.taxonomy.leaf_species[leaf], predictions.node],
        default=-1,
    )


def _species_named_rightly(predictions: Predictions) -> np.ndarray:
    return _named_species(predictions) == predictions.species_true


def _breed_named_rightly(predictions: Predictions) -> np.ndarray:
    known = predictions.breed_known
    return (predictions.node[known] == predictions.leaf_true[known]) & (predictions.level[known] == BREED)


def _node_truth(predictions: Predictions) -> dict[str, Any]:
    """How often the answer holds the truth, over all and by species.

    "unknown" is the root and always holds it. A breed answer of the right species cannot be judged on a photo whose
    breed is not told: such photos are left out and counted.
    """
    right_species = _species_named_rightly(predictions)
    as_breed = predictions.level == BREED
    judged = ~(as_breed & right_species & (predictions.leaf_true < 0))
    holds = np.select(
        [as_breed, predictions.level == SPECIES],
        [predictions.node == predictions.leaf_true, right_species],
        default=True,
    )
    per_species = {}
    for s in np.unique(predictions.species_true):
        rows = predictions.species_true == s
        truth = _truth_of(holds[rows], judged[rows], predictions.level[rows])
        per_species[predictions.taxonomy.species[s]] = _answer_shares(predictions.level[rows]) | truth
    return {
        **_truth_of(holds, judged, predictions.level),
        "n_not_judged": int((~judged).sum()),
        "per_species": per_species,
    }


def _truth_of(holds: np.ndarray, judged: np.ndarray, level: np.ndarray) -> dict[str, Any]:
    answered = judged & (level != UNKNOWN)
    n, hits = int(judged.sum()), int(holds[judged].sum())
    return {
        "n_judged": n,
        "holds_truth": hits / n if n else None,
        "holds_truth_interval": wilson_interval(hits, n),
        "right_when_answered": float(holds[answered].mean()) if answered.any() else None,
    }


def _trade(level: Level, answered: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Coverage and risk of the answers given, and of every other threshold on the level's confidence.

    AURC is the mean risk over all coverages (Geifman et al., ICLR 2019).
    """
    risk = risk_coverage(level.confidence, level.hit)
    n = len(risk)
    points = np.unique(np.linspace(0, n - 1, min(n, _CURVE_POINTS)).round().astype(int))
    return {
        "n": n,
        "coverage": float(answered.mean()),
        "risk": float(divide((answered & ~right).sum(), answered.sum(), np.nan)),
        "aurc": float(risk.mean()),
        "accuracy_at_coverage": {f"{c:.2f}": float(1 - risk[int(np.ceil(c * n - 1e-9)) - 1]) for c in COVERAGES},
        "curve": {
            "coverage": [round(float(v), 5) for v in (points + 1) / n],
            "risk": [round(float(v), 5) for v in risk[points]],
        },
    }
