"""Decisions of one photo."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierpets.hierarchy.decision import Decision, decide
from hierpets.hierarchy.policy import Policy
from hierpets.taxonomy import Taxonomy


def decide_one(
    joint: np.ndarray, taxonomy: Taxonomy, policy: Policy, *, scores: np.ndarray | None = None, **options: Any
) -> Decision:
    """The decision on ``joint`` [L] and ``scores`` [1 + S]."""
    rows = None if scores is None else scores[None]
    return decide(joint[None], taxonomy, policy, scores=rows, **options)[0]
