"""What a model says of photos that it did not see, kept as logits until they are calibrated and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hierpets.data.index import PhotoIndex
from hierpets.evaluation.judge import judge
from hierpets.evaluation.metrics import evaluate_predictions
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.decision import Thresholds, decide
from hierpets.hierarchy.probabilities import Combiner, joint_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

__all__ = ["Evidence", "measure"]


@dataclass(frozen=True)
class Evidence:
    """``species_logits`` [N, S] and ``leaf_logits`` [N, L] of N photos, with their labels and paths."""

    paths: tuple[str, ...]
    labels: Labels
    species_logits: np.ndarray
    leaf_logits: np.ndarray

    @classmethod
    def of(cls, photos: PhotoIndex, species_logits: np.ndarray, leaf_logits: np.ndarray) -> Evidence:
        return cls(tuple(r.path for r in photos.records), photos.labels(), species_logits, leaf_logits)

    def __len__(self) -> int:
        return len(self.paths)

    def where(self, rows: np.ndarray) -> Evidence:
        """The photos where ``rows`` (bool [N]) is true."""
        labels = replace(self.labels, species=self.labels.species[rows], leaf=self.labels.leaf[rows])
        paths = tuple(path for path, keep in zip(self.paths, rows, strict=True) if keep)
        return Evidence(paths, labels, self.species_logits[rows], self.leaf_logits[rows])


def measure(
    evidence: Evidence, taxonomy: Taxonomy, *, temperatures: Temperatures, combiner: Combiner, thresholds: Thresholds
) -> dict[str, Any]:
    """Every metric of ``docs/metrics.md`` on the calibrated probabilities of the evidence."""
    logits = temperatures.apply(evidence.species_logits, evidence.leaf_logits, taxonomy)
    joint = joint_probabilities(*logits, taxonomy, combiner=combiner)
    decisions = [decide(row, taxonomy, thresholds) for row in joint]
    return evaluate_predictions(judge(evidence.paths, evidence.labels, joint, decisions, taxonomy=taxonomy))
