"""What it takes to be predicted: fitted thresholds, and the scores they come from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierpets.hierarchy.conformal import ScoreGroup, conformal_threshold, fewest_scores, shared_threshold
from hierpets.taxonomy import Leaf
from hierpets.text import join_words

__all__ = [
    "DEFAULT_ALPHA",
    "DOUBT",
    "MAX_SET",
    "UNSURE",
    "Policy",
    "Population",
    "ScoreRows",
    "Thresholds",
    "population_shares",
]

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
ScoreRows = tuple[tuple[float, ...], ...]
"""For each photo what its answer must exceed to be right: a breed or the species; a set of two breeds; of two or three.
"""
LIKELY = 0.5
"""What an answer's probability must exceed at least, however many wrong ones alpha has room for: for breeds of 15%,
where a model is nearly always right. At an alpha above this, 1 - alpha.
"""
DOUBT = 4.0
"""Of the pet score, which sums three standard deviations: so near the least one of a pet, a photo leaves doubt whether
it shows one. Those of small animals do (docs/experiments.md)."""
UNSURE = 0.5
"""Probability of the best breed, other breeds considered, below which nothing is sure. What a photo near the least pet
score shows at least as surely is a pet: of photos that were held out, half of those that the score alone would refuse,
and no horse nor other photo of no pet (docs/experiments.md)."""
FOR_SETS = 0.1
"""Share of alpha that sets of breeds may spend: naming a single one comes first."""


class Thresholds(NamedTuple):
    """What one photo's prediction must exceed: ``probability`` a breed and a species, ``breed_set`` a set of breeds.

    Of a decision, ``probability`` is what was asked of its level: of a grown breed more, where its own threshold is
    higher. ``pet`` is None where the bundle has no such score.
    """

    alpha: float
    probability: float
    breed_set: float
    pet: float | None


class Policy(BaseModel):
    """The decision's fitted numbers.

    ``scores`` maps a population and a species to the nonconformity scores of the calibration photos predicted as it;
    ``pet`` is the least pet score. ``leaves`` maps a leaf that was grown, and unknown before, to the scores of its own
    photos.
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

    def knows_others(self, species: Sequence[str]) -> np.ndarray:
        """Of which ``species`` it was learned what their other breeds look like, bool [S]; of the rest every photo
        counts as of a listed one.
        """
        return np.array([bool(self.of("unlisted").get(name)) for name in species], bool)

    def leaf_probability(self, leaf: Leaf, alpha: float | None = None) -> float:
        """What the probability of a leaf must exceed besides the threshold of its species: 0 for one that training or
        pretraining knew, 1 for one that was grown and allows no promise at this alpha: from too few photos
        (:meth:`has_few`), or too many that were certain and wrong.
        """
        if str(leaf) not in self.leaves:
            return 0.0
        return conformal_threshold(self.leaf_scores(leaf, alpha), self.alpha if alpha is None else alpha)

    def leaf_scores(self, leaf: Leaf, alpha: float | None = None) -> Sequence[float]:
        """The scores that the threshold of a grown leaf comes from: those of its own photos; where they are too few for
        this alpha, those of all grown breeds of its species, of which it is one.
        """
        own = self.leaves.get(str(leaf), ())
        enough = len(own) >= fewest_scores(self.alpha if alpha is None else alpha)
        return own if enough else self.grown_scores(leaf.species)

    def has_few(self, leaf: Leaf, alpha: float | None = None) -> bool:
        """Whether a grown leaf has too few scores for a promise at this alpha, whatever they are."""
        fewest = fewest_scores(self.alpha if alpha is None else alpha)
        return str(leaf) in self.leaves and len(self.leaf_scores(leaf, alpha)) < fewest

    def least_alpha(self, species: str) -> float:
        """The smallest error rate, in thousandths, at which photos that look like a species can be answered at all: as
        many scores promise no smaller one. 0 where there are none, and fixed thresholds.
        """
        populations = self._populations(species, 1.0)
        photos = min((len(rows) for p, rows in populations.items() if p != "unlisted"), default=0)
        return math.ceil(round(1000 / ((photos + 1) * (1 - FOR_SETS)), 6)) / 1000 if photos else 0.0

    def unanswered(self, species: Collection[str]) -> str | None:
        """Which of the ``species`` are never answered at this alpha, for too few scores, and what to do; None if all
        are.
        """
        least = {name: self.least_alpha(name) for name in species}
        silent = [name for name in species if least[name] > self.alpha]
        if not silent:
            return None
        return (
            f"calibrated on too few photos for a promise at alpha {self.alpha:g}: all photos of "
            f"{join_words(silent)} are answered as unknown; add photos, or predict with --alpha "
            f"{max(least[name] for name in silent):g}"
        )

    def grown_scores(self, species: str) -> list[float]:
        """The scores of the photos of all breeds of a species that were grown, ascending."""
        return sorted(chain.from_iterable(own for name, own in self.leaves.items() if name.split("/")[0] == species))

    def thresholds(self, species: str, alpha: float | None = None, max_set: int = MAX_SET) -> Thresholds:
        """The thresholds for a photo whose most probable species is ``species``, at another alpha if one is given,
        where an answer may leave up to ``max_set`` breeds open.

        A set is answered where no breed is named, so its threshold follows from that of a breed: together they are
        wrong for at most alpha. None is below :data:`LIKELY`.
        """
        wanted = self.alpha if alpha is None else alpha
        alone = wanted if max_set == 1 else wanted * (1 - FOR_SETS)
        populations = self._populations(species, alone)
        if not populations:
            return Thresholds(wanted, LIKELY, LIKELY, self.pet)
        shares = population_shares(populations)
        groups = [_group(p, np.sort(rows[:, 0]), shares) for p, rows in populations.items()]
        probability = max(shared_threshold(groups, alone), min(LIKELY, 1 - wanted))
        if max_set == 1:
            return Thresholds(wanted, probability, 1.0, self.pet)
        # What is answered wrongly already, no threshold of sets can help.
        rest = {p: np.where(rows[:, 0] > probability, 1.0, rows[:, max_set - 1]) for p, rows in populations.items()}
        breed_set = shared_threshold([_group(p, np.sort(scores), shares) for p, scores in rest.items()], wanted)
        return Thresholds(wanted, probability, max(probability, breed_set), self.pet)

    def _populations(self, species: str, alpha: float) -> dict[Population, np.ndarray]:
        """The scores [N, 3] of a species, by population; where it has few of trained or unlisted breeds, those of all
        species. Unlisted ones that are too few for this alpha, whatever they are, are left out.
        """
        own = {
            population: np.array(self.of(population).get(species, ()), float).reshape(-1, MAX_SET)
            for population in get_args(Population)
        }
        for population in ("trained", "unlisted"):
            if len(own[population]) < ENOUGH:
                everyone = [row for rows in self.of(population).values() for row in rows]
                own[population] = np.array(everyone, float).reshape(-1, MAX_SET)
        kept = {p: rows for p, rows in own.items() if len(rows) >= (ENOUGH if p == "pretrained" else 1)}
        if "unlisted" in kept and not _are_enough(kept, alpha):
            del kept["unlisted"]
        return kept


def population_shares(known: Collection[Population]) -> dict[Population, float]:
    """The share of each population in what is asked; where pretraining knows no breeds, all listed ones are trained."""
    pretrained = LISTED * PRETRAINED if "pretrained" in known else 0.0
    return {"trained": LISTED - pretrained, "pretrained": pretrained, "unlisted": 1 - LISTED}


def _are_enough(populations: Mapping[Population, np.ndarray], alpha: float) -> bool:
    """Whether a bound on the share of wrong answers of all together can be at most ``alpha``, by counts alone."""
    shares = population_shares(populations)
    wrong = sum(shares[p] / (len(rows) + 1) for p, rows in populations.items())
    return wrong <= alpha * sum(shares[p] for p in populations)


def _group(population: Population, scores: np.ndarray, shares: Mapping[Population, float]) -> ScoreGroup:
    return ScoreGroup(scores, shares[population], promised=population != "unlisted")
