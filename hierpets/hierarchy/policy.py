"""What it takes to be predicted at each level: fitted thresholds, and the scores they come from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierpets.hierarchy.conformal import conformal_threshold, mixed_threshold
from hierpets.taxonomy import Leaf

__all__ = ["DEFAULT_ALPHA", "LISTED", "Listed", "Policy", "Thresholds"]

DEFAULT_ALPHA = 0.05
LISTED = 0.8
"""Share of photos that are taken to show a listed breed before they are looked at: of what is asked, nobody knows."""
ENOUGH = 100  # calibration photos of a species; fewer borrow those of all species


class Thresholds(NamedTuple):
    """What one photo's prediction must exceed. ``pet`` is None where the bundle has no such score."""

    alpha: float
    probability: float
    pet: float | None


class Listed(NamedTuple):
    """A logistic curve: the log-odds that a photo's breed is listed are ``slope * score + intercept``."""

    slope: float
    intercept: float

    def probability(self, score: float | np.ndarray) -> np.ndarray:
        """Of the shape of ``score``, the known-breed score."""
        # By tanh, which no score overflows.
        curve: np.ndarray = 0.5 * (1 + np.tanh(0.5 * (self.slope * score + self.intercept)))
        return curve


class Policy(BaseModel):
    """The decision's fitted numbers.

    ``scores`` maps a species to the sorted nonconformity scores of the calibration photos predicted as it; ``pet`` is
    the least pet score, ``listed`` maps a species to the probability that its breed is one of those listed, and
    ``unlisted`` to the sorted scores of photos of breeds that were held out.
    ``leaves`` maps a leaf that was grown from few photos to the nonconformity scores of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=DEFAULT_ALPHA, gt=0, lt=1)
    scores: dict[str, tuple[float, ...]] = {}
    pet: float | None = None
    listed: dict[str, Listed] = {}
    unlisted: dict[str, tuple[float, ...]] = {}
    leaves: dict[str, tuple[float, ...]] = {}

    @field_validator("scores", "unlisted", "leaves")
    @classmethod
    def _ascending(cls, scores: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, own in scores.items():
            if any(a > b for a, b in pairwise(own)):
                raise ValueError(f"expected the scores of {name} in ascending order")
        return scores

    def leaf_probability(self, leaf: Leaf, alpha: float | None = None) -> float:
        """What the probability of a leaf must exceed besides the threshold of its species: 0 for one that was trained,
        1 for one that was grown from too few photos for a promise at this alpha.
        """
        own = self.leaves.get(str(leaf))
        return 0.0 if own is None else conformal_threshold(own, self.alpha if alpha is None else alpha)

    def thresholds(self, species: str, alpha: float | None = None) -> Thresholds:
        """The thresholds for a photo whose most probable species is ``species``, at another alpha if one is given."""
        wanted = self.alpha if alpha is None else alpha
        return Thresholds(wanted, self._probability(species, wanted), self.pet)

    def listed_probability(self, species: Sequence[str], scores: np.ndarray) -> np.ndarray:
        """The probability that the breed is listed, float64 [N], of N photos by their most probable species and their
        known-breed scores float [N]; 1 for a species of which nothing is known about other breeds.
        """
        names = np.asarray(species)
        found = np.ones(len(names))
        for name, curve in self.listed.items():
            found[names == name] = curve.probability(scores[names == name])
        return found

    def _probability(self, species: str, alpha: float) -> float:
        own: Sequence[float] = self.scores.get(species, ())
        if len(own) < ENOUGH:
            own = sorted(score for scores in self.scores.values() for score in scores)
        if not own:
            return 0.5
        others = self.unlisted.get(species, ())
        if len(others) < ENOUGH:
            return conformal_threshold(own, alpha)
        return mixed_threshold(own, others, share=LISTED, alpha=alpha)
