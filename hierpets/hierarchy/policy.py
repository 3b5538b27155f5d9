"""What it takes to be predicted at each level: fitted thresholds, and the scores they come from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierpets.hierarchy.conformal import conformal_threshold
from hierpets.taxonomy import Leaf

__all__ = ["DEFAULT_ALPHA", "Policy", "Thresholds"]

DEFAULT_ALPHA = 0.05
ENOUGH = 100  # calibration photos of a species; fewer borrow those of all species


class Thresholds(NamedTuple):
    """What one photo's prediction must exceed. ``pet`` and ``known`` are None where the bundle has no such score."""

    alpha: float
    probability: float
    pet: float | None
    known: float | None


class Policy(BaseModel):
    """The decision's fitted numbers.

    ``scores`` maps a species to the sorted nonconformity scores of the calibration photos predicted as it; ``pet`` is
    the least pet score, ``known`` maps a species to the least known-breed score at which one of its breeds is named.
    ``leaves`` maps a leaf that was grown from few photos to the nonconformity scores of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=DEFAULT_ALPHA, gt=0, lt=1)
    scores: dict[str, tuple[float, ...]] = {}
    pet: float | None = None
    known: dict[str, float] = {}
    leaves: dict[str, tuple[float, ...]] = {}

    @field_validator("scores", "leaves")
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
        return Thresholds(wanted, self._probability(species, wanted), self.pet, self.known.get(species))

    def _probability(self, species: str, alpha: float) -> float:
        own: Sequence[float] = self.scores.get(species, ())
        if len(own) < ENOUGH:
            own = sorted(score for scores in self.scores.values() for score in scores)
        return conformal_threshold(own, alpha) if own else 0.5
