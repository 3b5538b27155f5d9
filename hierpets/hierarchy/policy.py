"""What it takes to be predicted: fitted thresholds, and the scores they come from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierpets.hierarchy.conformal import ScoreGroup, conformal_threshold, fewest_scores, shared_threshold
from hierpets.taxonomy import Leaf

__all__ = ["DEFAULT_ALPHA", "LISTED", "MAX_SET", "PRETRAINED", "Policy", "Population", "ScoreRows", "Thresholds"]

DEFAULT_ALPHA = 0.05
MAX_SET = 3
"""The most breeds that an answer may leave open; with more of them it is the species."""
LISTED = 0.8
"""Share of photos that are taken to show a listed breed before they are looked at: of what is asked, nobody knows."""
PRETRAINED = 1 / 3
"""Share of the listed ones that are known from pretraining alone."""
ENOUGH = 100  # calibration photos of a species; fewer borrow those of all species

Population = Literal["trained", "pretrained", "unlisted"]
"""Photos of breeds that were trained; of breeds held out of training that the pretrained head names; of breeds that
were hidden from both.
"""
SHARES: dict[Population, float] = {
    "trained": LISTED * (1 - PRETRAINED),
    "pretrained": LISTED * PRETRAINED,
    "unlisted": 1 - LISTED,
}
FEWEST: dict[Population, int] = {"trained": 1, "pretrained": ENOUGH, "unlisted": fewest_scores(DEFAULT_ALPHA)}
"""Scores below which a population does not count: of a few, a bound on the share of wrong answers says nothing."""
ScoreRows = tuple[tuple[float, ...], ...]
"""For each photo what its answer must exceed to be right: a breed or the species; a set of two breeds; of two or three.
"""
FOR_SETS = 0.1
"""Share of alpha that sets of breeds may spend: naming a single one comes first."""


class Thresholds(NamedTuple):
    """What one photo's prediction must exceed: ``probability`` a breed and a species, ``breed_set`` a set of breeds.

    ``pet`` is None where the bundle has no such score.
    """

    alpha: float
    probability: float
    breed_set: float
    pet: float | None


class Policy(BaseModel):
    """The decision's fitted numbers.

    ``scores`` maps a population and a species to the nonconformity scores of the calibration photos predicted as it;
    ``pet`` is the least pet score. ``leaves`` maps a leaf that was grown from few photos to the scores of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=DEFAULT_ALPHA, gt=0, lt=1)
    pet: float | None = None
    scores: dict[Population, dict[str, ScoreRows]] = {}
    leaves: dict[str, tuple[float, ...]] = {}

    @field_validator("scores")
    @classmethod
    def _one_column_a_size(
        cls, scores: dict[Population, dict[str, ScoreRows]]
    ) -> dict[Population, dict[str, ScoreRows]]:
        for population, species in scores.items():
            for name, rows in species.items():
                if any(len(row) != MAX_SET for row in rows):
                    raise ValueError(f"expected {MAX_SET} scores for each photo of {population} {name}")
        return scores

    @field_validator("leaves")
    @classmethod
    def _ascending(cls, leaves: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, own in leaves.items():
            if any(a > b for a, b in pairwise(own)):
                raise ValueError(f"expected the scores of {name} in ascending order")
        return leaves

    def of(self, population: Population) -> Mapping[str, ScoreRows]:
        """The scores of a population, by species."""
        return self.scores.get(population, {})

    def leaf_probability(self, leaf: Leaf, alpha: float | None = None) -> float:
        """What the probability of a leaf must exceed besides the threshold of its species: 0 for one that was trained,
        1 for one that was grown from too few photos for a promise at this alpha.
        """
        own = self.leaves.get(str(leaf))
        return 0.0 if own is None else conformal_threshold(own, self.alpha if alpha is None else alpha)

    def thresholds(self, species: str, alpha: float | None = None, max_set: int = MAX_SET) -> Thresholds:
        """The thresholds for a photo whose most probable species is ``species``, at another alpha if one is given,
        where an answer may leave up to ``max_set`` breeds open.

        A set is answered where no breed is named, so its threshold follows from that of a breed: together they are
        wrong for at most alpha.
        """
        wanted = self.alpha if alpha is None else alpha
        populations = self._populations(species)
        if not populations:
            return Thresholds(wanted, 0.5, 0.5, self.pet)
        alone = wanted if max_set == 1 else wanted * (1 - FOR_SETS)
        probability = shared_threshold([_group(p, np.sort(rows[:, 0])) for p, rows in populations.items()], alone)
        if max_set == 1:
            return Thresholds(wanted, probability, 1.0, self.pet)
        # What is answered wrongly already, no threshold of sets can help.
        rest = {p: np.where(rows[:, 0] > probability, 1.0, rows[:, max_set - 1]) for p, rows in populations.items()}
        breed_set = shared_threshold([_group(p, np.sort(scores)) for p, scores in rest.items()], wanted)
        return Thresholds(wanted, probability, max(probability, breed_set), self.pet)

    def _populations(self, species: str) -> dict[Population, np.ndarray]:
        """The scores [N, 3] of a species, by population; where it has few of trained or unlisted breeds, those of all
        species.
        """
        own = {
            population: np.array(self.of(population).get(species, ()), float).reshape(-1, MAX_SET)
            for population in get_args(Population)
        }
        for population in ("trained", "unlisted"):
            if len(own[population]) < ENOUGH:
                everyone = [row for rows in self.of(population).values() for row in rows]
                own[population] = np.array(everyone, float).reshape(-1, MAX_SET)
        return {p: rows for p, rows in own.items() if len(rows) >= FEWEST[p]}


def _group(population: Population, scores: np.ndarray) -> ScoreGroup:
    return ScoreGroup(scores, SHARES[population], promised=population != "unlisted")
