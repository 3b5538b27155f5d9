"""Decisions of one photo."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierpets.hierarchy.decision import Decision, decide
from hierpets.hierarchy.policy import MAX_SET, Policy
from hierpets.taxonomy import Taxonomy


def decide_one(
    joint: np.ndarray,
    taxonomy: Taxonomy,
    policy: Policy,
    *,
    scores: np.ndarray | None = None,
    alpha: float | None = None,
    **options: Any,
) -> Decision:
    """The decision on ``joint`` [L] and ``scores`` [1 + S], at another alpha than the policy's if one is given."""
    rows = None if scores is None else scores[None]
    max_set = options.get("max_set", MAX_SET)
    thresholds = {name: policy.thresholds(name, alpha, max_set) for name in taxonomy.species}
    return decide(joint[None], taxonomy, policy, scores=rows, thresholds=thresholds, **options)[0]
