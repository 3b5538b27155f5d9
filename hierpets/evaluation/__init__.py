"""What a model is worth: metrics at every level and across them, with intervals, figures and a report."""

from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.predictions import OODPredictions, Predictions

__all__ = ["OODPredictions", "Predictions", "evaluate_predictions"]
