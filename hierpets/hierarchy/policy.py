"""The decision thresholds of a model, and the calibration scores that they are computed from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
from pydantic import Field, field_validator

from hierpets.hierarchy.conformal import ScoreGroup, conformal_threshold, fewest_scores, min_alpha, shared_threshold
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
"""The most breeds that an answer may leave open; with more, the species is answered."""
LISTED = 0.8
"""Assumed share of photos that show a listed breed: the share among the photos of users is unknown."""
PRETRAINED = 1 / 3
"""Assumed share of the photos of listed breeds whose breed is known from pretraining alone."""
ENOUGH = 100  # calibration photos of a species; with fewer, those of all species are used
ENOUGH_OTHERS = 20
"""Fewest photos of held-out breeds from which a model learns to recognize unlisted breeds. Fewer cannot fit the gate,
without which they are confidently taken for listed breeds.
"""

Population = Literal["trained", "pretrained", "unlisted"]
"""Calibration photos of breeds that were trained; of breeds held out of training that the pretrained head knows; of
breeds held out of both.
"""
ScoreRows = tuple[tuple[float, ...], ...]
"""Nonconformity scores of each photo for answers with up to one, two or three breeds: the probability that an answer
must exceed so that it is right.
"""
MIN_PROBABILITY = 0.5
"""Lower limit of every threshold, even if alpha allows a lower one: a model that is nearly always right would otherwise
name breeds with a probability of 15%. If 1 - alpha is lower, that is the limit.
"""
PET_SCORE_BAND = 4.0
"""Half-width of the band around the pet threshold in which it is in doubt whether a photo shows a pet. In units of the
pet score, a sum of three standardized terms. Photos of small animals fall into it (docs/experiments.md)."""
SURE_BREED = 0.5
"""Probability from which on the best breed counts as sure, unlisted breeds considered. Within the band, a photo with a
sure breed counts as a pet unless the detector objects. On held-out photos this rescues half of the pets that the score
alone would refuse, and lets no horse or other photo without a pet pass (docs/experiments.md)."""
ALPHA_SHARE_OF_SETS = 0.1
"""Share of alpha reserved for answers with several breeds; most is spent on naming a single one."""


class Thresholds(NamedTuple):
    """The thresholds for one photo: ``probability`` for a breed or a species, ``breed_set`` for a set of breeds.

    In a decision, ``probability`` is the threshold that applied to the answer: for a grown breed its own one, if that
    is higher. ``pet`` is the lowest pet score of a pet, None if the bundle has no such score.
    """

    alpha: float
    probability: float
    breed_set: float
    pet: float | None


class Policy(StrictModel):
    """The calibration results that decisions are based on.

    ``scores`` maps a population and a species to the nonconformity scores of the calibration photos predicted as that
    species; ``pet`` is the lowest pet score of a pet. ``leaves`` maps each grown leaf that was unknown before to the
    scores of its own photos, ascending.
    """

    alpha: float = Field(default=DEFAULT_ALPHA, gt=0, lt=1)
    pet: float | None = None
    scores: dict[Population, dict[str, ScoreRows]] = {}
    leaves: dict[str, tuple[float, ...]] = {}

    @field_validator("scores")
    @classmethod
    def _one_column_per_size(
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
        """The largest share of answers that may be wrong; None if the thresholds were not calibrated."""
        return self.alpha if any(self.of("trained").values()) else None

    def knows_others(self, species: Sequence[str]) -> np.ndarray:
        """Whether the model has learned to recognize unlisted breeds of each of the ``species``, bool [S].

        For the rest, every photo counts as one of a listed breed.
        """
        return np.array([bool(self.of("unlisted").get(name)) for name in species], bool)

    def leaf_probability(self, leaf: Leaf, alpha: float | None = None) -> float:
        """The threshold of a leaf itself, which applies besides that of its species.

        It is 0 for a leaf known from training or pretraining, and 1 for a grown leaf that cannot be named at this
        alpha: it has too few photos (:meth:`has_few`), or too many of them were confidently wrong. A leaf that uses the
        scores of all grown breeds still gets a threshold no lower than any score of its own photos, so that it does
        not fall as alpha gets smaller.
        """
        if str(leaf) not in self.leaves:
            return 0.0
        own, scores = self.leaves[str(leaf)], self.leaf_scores(leaf, alpha)
        threshold = conformal_threshold(scores, self.alpha if alpha is None else alpha)
        return threshold if scores is own else max([threshold, *own])

    def leaf_scores(self, leaf: Leaf, alpha: float | None) -> Sequence[float]:
        """The scores that the threshold of a grown leaf is computed from: those of its own photos, or those of all
        grown breeds of its species if its own are too few for this alpha.
        """
        own = self.leaves.get(str(leaf), ())
        enough = len(own) >= fewest_scores(self.alpha if alpha is None else alpha)
        return own if enough else self.grown_scores(leaf.species)

    def has_few(self, leaf: Leaf, alpha: float | None = None) -> bool:
        """Whether a grown leaf has too few scores for any threshold below 1 at this alpha."""
        fewest = fewest_scores(self.alpha if alpha is None else alpha)
        return str(leaf) in self.leaves and len(self.leaf_scores(leaf, alpha)) < fewest

    def min_alpha(self, species: str) -> float:
        """The smallest alpha, rounded up to thousandths, at which photos predicted as a species can be answered at all.

        The number of calibration scores limits it. 0 if there are none: the thresholds are then fixed.
        """
        populations = self._populations(species)
        photos = min((len(rows) for p, rows in populations.items() if p != "unlisted"), default=0)
        return min_alpha(photos, 1 - ALPHA_SHARE_OF_SETS) if photos else 0.0

    def unanswered(self, species: Collection[str]) -> str | None:
        """A message on which ``species`` are never answered at this alpha, why, and what to do; None if all are."""
        alphas = {name: self.min_alpha(name) for name in species}
        few = [name for name in species if alphas[name] > self.alpha]
        wrong = [name for name in species if name not in few and self.thresholds(name).probability >= 1]
        messages = []
        if few:
            messages.append(
                f"calibrated on photos of too few animals for a promise at alpha {self.alpha:g}: all photos of "
                f"{join_words(few)} are answered as unknown; add photos of others, or predict with --alpha "
                f"{max(alphas[name] for name in few):g}"
            )
        if wrong:
            messages.append(
                f"certain and wrong on too many calibration photos for a promise at alpha {self.alpha:g}: all photos "
                f"of {join_words(wrong)} are answered as unknown; look at the labels, or add photos"
            )
        return "; ".join(messages) or None

    def grown_scores(self, species: str) -> list[float]:
        """The scores of the photos of all grown breeds of a species, ascending."""
        return sorted(chain.from_iterable(own for name, own in self.leaves.items() if name.split("/")[0] == species))

    def thresholds(self, species: str, alpha: float | None = None, max_set: int = MAX_SET) -> Thresholds:
        """The thresholds for a photo whose most probable species is ``species``.

        ``alpha`` defaults to that of the policy; an answer may leave up to ``max_set`` breeds open. A set of breeds is
        answered only where no breed is named, so its threshold is computed after that of a breed: both kinds of answers
        together are wrong for at most alpha. No threshold is below :data:`MIN_PROBABILITY`, or 1 - alpha if that is
        lower.
        """
        wanted = self.alpha if alpha is None else alpha
        alone = wanted if max_set == 1 else wanted * (1 - ALPHA_SHARE_OF_SETS)
        rows = self._populations(species)
        if not rows:
            return Thresholds(wanted, MIN_PROBABILITY, MIN_PROBABILITY, self.pet)
        probability = max(
            _threshold({p: own[:, 0] for p, own in rows.items()}, alone), min(MIN_PROBABILITY, 1 - wanted)
        )
        if max_set == 1:
            return Thresholds(wanted, probability, 1.0, self.pet)
        # A photo whose single answer is wrong is counted as wrong at every threshold of sets.
        rest = {p: np.where(own[:, 0] > probability, 1.0, own[:, max_set - 1]) for p, own in rows.items()}
        return Thresholds(wanted, probability, max(probability, _threshold(rest, wanted)), self.pet)

    def _populations(self, species: str) -> dict[Population, np.ndarray]:
        """The scores [N, 3] of a species by population, without populations that are too small.

        If a species has few scores of trained or of unlisted breeds, those of all species are used.
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
    """The assumed share of each population among new photos. Without ``pretrained``, all listed breeds are trained."""
    pretrained = LISTED * PRETRAINED if "pretrained" in known else 0.0
    return {"trained": LISTED - pretrained, "pretrained": pretrained, "unlisted": 1 - LISTED}


def _threshold(scores: Mapping[Population, np.ndarray], alpha: float) -> float:
    """The threshold at which at most a share of alpha is answered wrongly, by the scores [N] of each population.

    If the unlisted breeds have too few scores for this alpha, they are left out of the guarantee. The threshold is
    still at least the one for the smallest alpha that they allow: otherwise a smaller alpha could lower it.
    """
    shares = population_shares(scores)
    listed = [ScoreGroup(np.sort(own), shares[p], promised=True) for p, own in scores.items() if p != "unlisted"]
    if "unlisted" not in scores:
        return shared_threshold(listed, alpha)
    every = [*listed, ScoreGroup(np.sort(scores["unlisted"]), shares["unlisted"], promised=False)]
    smallest = sum(group.share * group.wrong(1.0) for group in every) / sum(group.share for group in every)
    return max(shared_threshold(listed, alpha), shared_threshold(every, max(alpha, smallest)))
