"""What a model is worth: metrics at every level and across them, with intervals, figures and a report."""

from hierpets.evaluation.metrics import evaluate_predictions
from hierpets.evaluation.predictions import NotPets, Predictions

__all__ = ["NotPets", "Predictions", "evaluate_predictions"]
