"""Policies with a threshold that is known beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hierpets.hierarchy.policy import ENOUGH, MAX_SET, Policy


def flat_policy(species: Iterable[str], threshold: float = 0.6, **fields: Any) -> Policy:
    """A policy whose thresholds are ``threshold`` for every species, at any alpha below one half."""
    rows = ((0.0,) * MAX_SET,) + ((threshold,) * MAX_SET,) * ENOUGH
    return Policy(scores={"trained": dict.fromkeys(species, rows)}, **fields)
