"""Evaluate a trained and calibrated model on held-out photos."""

from __future__ import annotations

from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.predictions import to_predictions
from hierpets.training.calibration import Calibrated, HeldOutPredictions, cross_predict
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.outputs import HeldOutOutputs
from hierpets.training.trained import Trained

__all__ = ["accuracies", "measure", "measure_trained"]


def measure_trained(trained: Trained, calibrated: Calibrated, *, folds: int, seed: int) -> dict[str, Metrics]:
    """Evaluate each part of ``trained.held_out``.

    The thresholds were fitted to the first part, so they are cross-validated there: each photo is evaluated with
    thresholds fitted to the other ``folds``.
    """
    calibrating = next(iter(trained.held_out))
    metrics = {}
    for name, part in trained.held_out.items():
        if name == calibrating and len(part) >= folds:
            # A different partition from that of the heads.
            assigned = assign_folds(part.labels, folds=folds, seed=seed + 1, single=True)
            decided = cross_predict(part, trained, calibrated, assigned)
        else:
            decided = calibrated.predict(part)
        metrics[name] = measure(part, decided, calibrated)
    return metrics


def measure(outputs: HeldOutOutputs, decided: HeldOutPredictions, calibrated: Calibrated) -> Metrics:
    """Compute every metric of ``docs/metrics.md``."""
    return evaluate_predictions(
        to_predictions(
            outputs.paths,
            outputs.labels,
            *decided,
            taxonomy=calibrated.taxonomy,
            pet_score=outputs.scores[:, 0],
        ),
        alpha=calibrated.policy.promised,
    )


def accuracies(metrics: Metrics) -> dict[str, float | None]:
    """Return the accuracies of ``species`` and ``breed`` (None without breeds) that a run logs."""
    return {"species": metrics.species.accuracy, "breed": metrics.breed.accuracy if metrics.breed else None}
