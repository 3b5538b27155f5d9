"""How well photos that show no known pet are told from those that do."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierpets.evaluation.predictions import UNKNOWN, OODPredictions, Predictions

__all__ = ["novelty_metrics"]

_ACCEPTED = 0.95


def novelty_metrics(predictions: Predictions, ood: OODPredictions) -> dict[str, Any] | None:
    """AUROC of the novelty score, FPR at 95 % TPR, shares answered "unknown"; None without scores of the pets.

    A pet is the positive: FPR at 95 % TPR is the share of not-pets that pass the threshold which 95 % of the pets pass.
    """
    if predictions.novelty is None:
        return None
    pets = predictions.novelty
    threshold = float(np.quantile(pets, _ACCEPTED, method="inverted_cdf"))
    kinds = np.array(ood.kind or ())
    everything = np.ones(len(ood), dtype=bool)
    return {
        "n_pets": len(predictions),
        "threshold_at_95_tpr": threshold,
        "pets_rejected": float((predictions.level == UNKNOWN).mean()),
        **_scores(pets, ood, everything, threshold=threshold),
        "per_kind": {
            kind: _scores(pets, ood, kinds == kind, threshold=threshold) for kind in sorted(set(kinds.tolist()))
        },
    }


def _scores(pets: np.ndarray, ood: OODPredictions, rows: np.ndarray, *, threshold: float) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    strange = ood.novelty[rows]
    is_strange = np.r_[np.zeros(len(pets)), np.ones(len(strange))]
    return {
        "n": len(strange),
        "auroc": float(roc_auc_score(is_strange, np.r_[pets, strange])),
        "fpr_at_95_tpr": float((strange <= threshold).mean()),
        "rejected": float((ood.level[rows] == UNKNOWN).mean()),
    }
