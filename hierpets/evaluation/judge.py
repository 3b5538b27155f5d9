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
    paths: Sequence[str], labels: Labels, joint: np.ndarray, decisions: Sequence[Decision], *, taxonomy: Taxonomy
) -> Predictions:
    """N photos with their labels, joint probabilities float [N, L] and decisions, ready to be measured."""
    return Predictions(
        taxonomy=taxonomy,
        paths=tuple(paths),
        species_true=labels.species,
        leaf_true=labels.leaf,
        probabilities=joint,
        level=np.array([decision.level for decision in decisions]),
        node=np.array([decision.node(taxonomy) for decision in decisions]),
    )
