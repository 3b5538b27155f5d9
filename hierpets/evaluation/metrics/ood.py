"""How well the pet score separates photos of known pets from out-of-distribution photos."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierpets.evaluation.metrics.schema import OODMetrics, OODScoreMetrics
from hierpets.evaluation.predictions import UNKNOWN, OODPredictions, Predictions

__all__ = ["ood_metrics"]

_ACCEPTED = 0.95


def ood_metrics(predictions: Predictions, ood: OODPredictions) -> OODMetrics | None:
    """Compute AUROC of the pet score, FPR at 95% TPR, and shares predicted "unknown"; None if pets have no pet score.

    Pets are the positives: FPR at 95% TPR is the share of out-of-distribution photos above the threshold that 95% of
    the pets reach.
    """
    if predictions.pet_score is None:
        return None
    pets = predictions.pet_score
    threshold = -float(np.quantile(-pets, _ACCEPTED, method="inverted_cdf"))
    kinds = np.array(ood.kind or ())
    return OODMetrics(
        n_pets=len(predictions),
        threshold_at_95_tpr=threshold,
        pets_rejected=(predictions.level == UNKNOWN).mean(),
        per_kind={
            kind: OODScoreMetrics(**_scores(pets, ood, kinds == kind, threshold=threshold))
            for kind in sorted(set(kinds.tolist()))
        },
        **_scores(pets, ood, np.ones(len(ood), dtype=bool), threshold=threshold),
    )


def _scores(pets: np.ndarray, ood: OODPredictions, rows: np.ndarray, *, threshold: float) -> dict[str, Any]:
    """The fields of :class:`OODScoreMetrics`."""
    from sklearn.metrics import roc_auc_score

    others = ood.pet_score[rows]
    is_pet = np.r_[np.ones(len(pets)), np.zeros(len(others))]
    return {
        "n": len(others),
        "auroc": float(roc_auc_score(is_pet, np.r_[pets, others])),
        "fpr_at_95_tpr": (others >= threshold).mean(),
        "rejected": (ood.level[rows] == UNKNOWN).mean(),
    }
