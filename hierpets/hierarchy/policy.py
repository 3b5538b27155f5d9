"""What it takes to be predicted: fitted thresholds, and the scores they come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
from pydantic import Field, field_validator

from hierpets.hierarchy.conformal import ScoreGroup, conformal_threshold, fewest_scores, least_alpha, shared_threshold
from hierpets.taxonomy import Leaf
from hierpets.text import join_words
from hierpets.validation.strict import StrictModel

__all__ = [
    "DEFAULT_ALPHA",
    "ENOUGH_OTHERS",
    "MAX_SET",
    "PET_SCORE_BAND",
    "SURE_BREED",
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
ENOUGH_OTHERS = 20
"""Photos of held-out breeds that it takes to know what a breed looks like that no photo taught. Fewer fit no gate, and
judged without one they are certain and wrong.
"""

Population = Literal["trained", "pretrained", "unlisted"]
"""Photos of breeds that were trained; of breeds held out of training that the pretrained head names; of breeds that
were hidden from both.
"""
ScoreRows = tuple[tuple[float, ...], ...]
"""For each photo what its answer must exceed to be right: a breed or the species; a set of two breeds; of two or three.
"""
LEAST_PROBABILITY = 0.5
"""What an answer's probability must exceed at least, however many wrong ones alpha has room for: where a model is
nearly always right, breeds of 15% would be named. At an alpha above this, 1 - alpha.
"""
PET_SCORE_BAND = 4.0
"""How far above or below the least pet score of a pet a photo leaves doubt whether it shows one, in units of the score,
which sums three standard deviations. Photos of small animals do (docs/experiments.md)."""
SURE_BREED = 0.5
"""Probability of the best breed, other breeds considered, from which on it is sure. Within the band a photo of a sure
breed is a pet, unless a detector objects: of photos that were held out, half of those that the score alone would
refuse, and no horse nor other photo of no pet (docs/experiments.md)."""
ALPHA_SHARE_OF_SETS = 0.1
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


class Policy(StrictModel):
    """The decision's fitted numbers.

    ``scores`` maps a population and a species to the nonconformity scores of the calibration photos predicted as it;
    ``pet`` is the least pet score. ``leaves`` maps a leaf that was grown, and unknown before, to the scores of its own
    photos.
    """

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

    @property
    def promised(self) -> float | None:
        """The share of answers that may be wrong at most; None where no photo calibrated the thresholds."""
        return self.alpha if any(self.of("trained").values()) else None

    def knows_others(self, species: Sequence[str]) -> np.ndarray:
        """Of which ``species`` it was learned what their other breeds look like, bool [S]; of the rest every photo
        counts as of a listed one.
        """
        return np.array([bool(self.of("unlisted").get(name)) for name in species], bool)

    def leaf_probability(self, leaf: Leaf, alpha: float | None = None) -> float:
        """What the probability of a leaf must exceed besides the threshold of its species: 0 for one that training or
        pretraining knew, 1 for one that was grown and allows no promise at this alpha: from too few photos
        (:meth:`has_few`), or too many that were certain and wrong. Its own photos ask for it as far as they go, and the
        less alpha is, the more is asked for.
        """
        if str(leaf) not in self.leaves:
            return 0.0
        own, scores = self.leaves[str(leaf)], self.leaf_scores(leaf, alpha)
        threshold = conformal_threshold(scores, self.alpha if alpha is None else alpha)
        return threshold if scores is own else max([threshold, *own])

    def leaf_scores(self, leaf: Leaf, alpha: float | None) -> Sequence[float]:
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
        populations = self._populations(species)
        photos = min((len(rows) for p, rows in populations.items() if p != "unlisted"), default=0)
        return least_alpha(photos, 1 - ALPHA_SHARE_OF_SETS) if photos else 0.0

    def unanswered(self, species: Collection[str]) -> str | None:
        """Which of the ``species`` are never answered at this alpha, why, and what to do; None if all are."""
        least = {name: self.least_alpha(name) for name in species}
        few = [name for name in species if least[name] > self.alpha]
        wrong = [name for name in species if name not in few and self.thresholds(name).probability >= 1]
        said = []
        if few:
            said.append(
                f"calibrated on photos of too few animals for a promise at alpha {self.alpha:g}: all photos of "
                f"{join_words(few)} are answered as unknown; add photos of others, or predict with --alpha "
                f"{max(least[name] for name in few):g}"
            )
        if wrong:
            said.append(
                f"certain and wrong on too many calibration photos for a promise at alpha {self.alpha:g}: all photos "
                f"of {join_words(wrong)} are answered as unknown; look at the labels, or add photos"
            )
        return "; ".join(said) or None

    def grown_scores(self, species: str) -> list[float]:
        """The scores of the photos of all breeds of a species that were grown, ascending."""
        return sorted(chain.from_iterable(own for name, own in self.leaves.items() if name.split("/")[0] == species))

    def thresholds(self, species: str, alpha: float | None = None, max_set: int = MAX_SET) -> Thresholds:
        """The thresholds for a photo whose most probable species is ``species``, at another alpha if one is given,
        where an answer may leave up to ``max_set`` breeds open.

        A set is answered where no breed is named, so its threshold follows from that of a breed: together they are
        wrong for at most alpha. None is below :data:`LEAST_PROBABILITY`.
        """
        wanted = self.alpha if alpha is None else alpha
        alone = wanted if max_set == 1 else wanted * (1 - ALPHA_SHARE_OF_SETS)
        rows = self._populations(species)
        if not rows:
            return Thresholds(wanted, LEAST_PROBABILITY, LEAST_PROBABILITY, self.pet)
        probability = max(
            _threshold({p: own[:, 0] for p, own in rows.items()}, alone), min(LEAST_PROBABILITY, 1 - wanted)
        )
        if max_set == 1:
            return Thresholds(wanted, probability, 1.0, self.pet)
        # What is answered wrongly already, no threshold of sets can help.
        rest = {p: np.where(own[:, 0] > probability, 1.0, own[:, max_set - 1]) for p, own in rows.items()}
        return Thresholds(wanted, probability, max(probability, _threshold(rest, wanted)), self.pet)

    def _populations(self, species: str) -> dict[Population, np.ndarray]:
        """The scores [N, 3] of a species, by population, of those that have enough to speak; where it has few of
        trained or unlisted breeds, those of all species.
        """
        own = {
            population: np.array(self.of(population).get(species, ()), float).reshape(-1, MAX_SET)
            for population in get_args(Population)
        }
        for population in ("trained", "unlisted"):
            if len(own[population]) < ENOUGH:
                everyone = [row for rows in self.of(population).values() for row in rows]
                own[population] = np.array(everyone, float).reshape(-1, MAX_SET)
        fewest = {"trained": 1, "pretrained": ENOUGH, "unlisted": ENOUGH_OTHERS}
        return {p: rows for p, rows in own.items() if len(rows) >= fewest[p]}


def population_shares(known: Collection[Population]) -> dict[Population, float]:
    """The share of each population in what is asked; where pretraining knows no breeds, all listed ones are trained."""
    pretrained = LISTED * PRETRAINED if "pretrained" in known else 0.0
    return {"trained": LISTED - pretrained, "pretrained": pretrained, "unlisted": 1 - LISTED}


def _threshold(scores: Mapping[Population, np.ndarray], alpha: float) -> float:
    """The threshold at which at most alpha is wrong, by the scores [N] of each population.

    Unlisted breeds that are too few for this alpha, whatever they are, are not promised. What they ask for at the least
    alpha that they are enough for is asked for all the same: else a smaller alpha would name more.
    """
    shares = population_shares(scores)
    listed = [ScoreGroup(np.sort(own), shares[p], promised=True) for p, own in scores.items() if p != "unlisted"]
    if "unlisted" not in scores:
        return shared_threshold(listed, alpha)
    every = [*listed, ScoreGroup(np.sort(scores["unlisted"]), shares["unlisted"], promised=False)]
    least = sum(group.share * group.wrong(1.0) for group in every) / sum(group.share for group in every)
    return max(shared_threshold(listed, alpha), shared_threshold(every, max(alpha, least)))
