"""Set a model's answers beside the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierpets.evaluation.predictions import Predictions
from hierpets.hierarchy.decision import Decision
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

__all__ = ["judge"]


def judge(
    paths: Sequence[str],
    labels: Labels,
    joint: np.ndarray,
    decisions: Sequence[Decision],
    *,
    taxonomy: Taxonomy,
    novelty: np.ndarray | None = None,
) -> Predictions:
    """N photos with their labels, joint probabilities float [N, L] and decisions, ready to be measured.

    ``novelty`` float [N] is higher for a photo that looks less like a pet; None where the bundle has no such score.
    """
    return Predictions(
        taxonomy=taxonomy,
        paths=tuple(paths),
        species_true=labels.species,
        leaf_true=labels.leaf,
        probabilities=joint,
        level=np.array([decision.level for decision in decisions]),
        node=np.array([decision.node(taxonomy) for decision in decisions]),
        novelty=novelty,
    )
