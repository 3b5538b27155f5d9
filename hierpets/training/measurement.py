"""How good a trained and calibrated model is on the photos that were held out."""

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
    """The metrics of each part of ``trained.held_out``.

    The first part fitted the thresholds, so each of its photos is judged by those that the other ``folds`` give.
    """
    calibrating = next(iter(trained.held_out))
    metrics = {}
    for name, part in trained.held_out.items():
        if name == calibrating and len(part) >= folds:
            # Another partition than that of the heads.
            assigned = assign_folds(part.labels, folds=folds, seed=seed + 1, single=True)
            decided = cross_predict(part, trained, calibrated, assigned)
        else:
            decided = calibrated.predict(part)
        metrics[name] = measure(part, decided, calibrated)
    return metrics


def measure(outputs: HeldOutOutputs, decided: HeldOutPredictions, calibrated: Calibrated) -> Metrics:
    """Every metric of ``docs/metrics.md``."""
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
    """Accuracy of ``species`` and ``breed`` (None without breeds) in one part's metrics: what a run logs."""
    return {"species": metrics.species.accuracy, "breed": metrics.breed.accuracy if metrics.breed else None}
