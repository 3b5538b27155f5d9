"""All metrics of an evaluation in one plain dictionary, ready for ``metrics.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierpets.evaluation.metrics.hierarchical import hierarchy_metrics
from hierpets.evaluation.metrics.levels import breed_given_species_level, breed_level, level_metrics, species_level
from hierpets.evaluation.metrics.ood import novelty_metrics
from hierpets.evaluation.metrics.resampling import CONFIDENCE
from hierpets.evaluation.metrics.selective import selective_metrics
from hierpets.evaluation.predictions import OODPredictions, Predictions

__all__ = ["SCHEMA_VERSION", "evaluate_predictions", "metrics_json", "plain"]

SCHEMA_VERSION = 1


def evaluate_predictions(
    predictions: Predictions,
    *,
    ood: OODPredictions | None = None,
    about: Mapping[str, str] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Everything ``docs/metrics.md`` describes, as plain JSON values; what is undefined is None.

    ``about`` says in words what was measured ("model", "data", "split"); it is kept and shown, never read. ``seed`` and
    ``resamples`` are those of the bootstrap intervals.
    """
    levels = {
        "species": species_level(predictions),
        "breed": breed_level(predictions),
        "breed_given_species": breed_given_species_level(predictions),
    }
    result = {
        "schema_version": SCHEMA_VERSION,
        "about": dict(about or {}),
        "taxonomy": predictions.taxonomy.tree,
        "n": len(predictions),
        "n_breed_known": int(predictions.breed_known.sum()),
        "bootstrap": {"resamples": resamples, "seed": seed, "confidence": CONFIDENCE},
        **{
            name: level_metrics(level, seed=seed, resamples=resamples) if level else None
            for name, level in levels.items()
        },
        "breed_by_species": _breed_by_species(predictions),
        "hierarchy": hierarchy_metrics(predictions, seed=seed, resamples=resamples),
        "selective": selective_metrics(predictions),
        "novelty": novelty_metrics(predictions, ood) if ood else None,
    }
    checked: dict[str, Any] = plain(result)
    return checked


def _breed_by_species(predictions: Predictions) -> dict[str, Any]:
    """Breed accuracy of each species' photos, by the joint winner and by the winner among the true species' breeds."""
    joint, given = breed_level(predictions), breed_given_species_level(predictions)
    if joint is None or given is None:
        return {}
    species = predictions.species_true[predictions.breed_known]
    return {
        predictions.taxonomy.species[s]: {
            "n": int((species == s).sum()),
            "accuracy_given_species": float(given.hit[species == s].mean()),
            "accuracy": float(joint.hit[species == s].mean()),
        }
        for s in np.unique(species)
    }


def plain(value: Any) -> Any:
    """The value in JSON's own types; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def metrics_json(metrics: Mapping[str, Any]) -> str:
    """Strict JSON, one line for each list of numbers, so that a person can read it and a diff stays short."""
    return _pretty_json(metrics, "") + "\n"


def _pretty_json(value: Any, indent: str) -> str:
    if isinstance(value, Mapping) and value:
        inner = indent + " "
        items = [f"{inner}{json.dumps(key)}: {_pretty_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return json.dumps(value, allow_nan=False)
