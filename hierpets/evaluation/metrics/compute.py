"""All metrics of an evaluation, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierpets.bundle.identity import ModelId
from hierpets.evaluation.metrics.hierarchical import hierarchy_metrics
from hierpets.evaluation.metrics.levels import (
    LevelPredictions,
    breed_given_species_level,
    breed_level,
    level_metrics,
    species_level,
)
from hierpets.evaluation.metrics.ood import ood_metrics
from hierpets.evaluation.metrics.resampling import CONFIDENCE
from hierpets.evaluation.metrics.schema import (
    Bootstrap,
    BreedOfSpecies,
    LevelMetrics,
    Metrics,
    SeenMetrics,
)
from hierpets.evaluation.metrics.selective import selective_metrics
from hierpets.evaluation.predictions import OODPredictions, Predictions

__all__ = ["evaluate_predictions", "metrics_json"]


def evaluate_predictions(
    predictions: Predictions,
    *,
    alpha: float | None = None,
    ood: OODPredictions | None = None,
    seen: SeenMetrics | None = None,
    model: ModelId | None = None,
    about: Mapping[str, str] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Metrics:
    """Compute every metric in ``docs/metrics.md`` but the stress test; undefined values are None.

    ``alpha`` is the share of wrong answers that the model promises not to exceed, None if it promises nothing. ``seen``
    counts the photos that the model was fitted to, and ``about`` says in words what was measured ("data", "split").
    ``seed`` and ``resamples`` are those of the bootstrap intervals.
    """

    def measured(level: LevelPredictions | None) -> LevelMetrics | None:
        return level_metrics(level, seed=seed, resamples=resamples) if level else None

    return Metrics(
        model=model,
        about=dict(about or {}),
        taxonomy=predictions.taxonomy.tree,
        n=len(predictions),
        n_breed_known=int(predictions.breed_known.sum()),
        bootstrap=Bootstrap(
            resamples=resamples,
            resampled="photos" if predictions.groups is None else "individuals",
            seed=seed,
            confidence=CONFIDENCE,
        ),
        species=level_metrics(species_level(predictions), seed=seed, resamples=resamples),
        breed=measured(breed_level(predictions)),
        breed_given_species=measured(breed_given_species_level(predictions)),
        breed_by_species=_breed_by_species(predictions),
        hierarchy=hierarchy_metrics(predictions, seed=seed, resamples=resamples),
        selective=selective_metrics(predictions, alpha=alpha),
        ood=ood_metrics(predictions, ood) if ood else None,
        seen=seen,
    )


def _breed_by_species(predictions: Predictions) -> dict[str, BreedOfSpecies]:
    """Breed accuracy of each species' photos, among all leaves and among the breeds of the true species."""
    joint, given = breed_level(predictions), breed_given_species_level(predictions)
    if joint is None or given is None:
        return {}
    species = predictions.species_true[predictions.breed_known]
    return {
        predictions.taxonomy.species[s]: BreedOfSpecies(
            n=(species == s).sum(),
            accuracy_given_species=given.hit[species == s].mean(),
            accuracy=joint.hit[species == s].mean(),
        )
        for s in np.unique(species)
    }


def metrics_json(metrics: Metrics | Mapping[str, Metrics]) -> str:
    """Format the metrics of one evaluation, or of several by name, as training writes them, as strict JSON.

    Each list of numbers is on one line, which keeps it readable and diffs short.
    """
    if isinstance(metrics, Metrics):
        content: Any = metrics.model_dump(mode="json")
    else:
        content = {name: measured.model_dump(mode="json") for name, measured in metrics.items()}
    return _pretty_json(content, "") + "\n"


def _pretty_json(value: Any, indent: str) -> str:
    if isinstance(value, Mapping) and value:
        inner = indent + " "
        items = [f"{inner}{json.dumps(key)}: {_pretty_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return json.dumps(value, allow_nan=False)
