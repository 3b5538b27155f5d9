"""The shampoo for a prediction, by rules that are plugins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.errors import HierpetsError
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.prediction import Prediction
from hierpets.recommend.choose import Recommender
from hierpets.recommend.result import Recommendation, RecommendationRecord
from hierpets.workers import ProcessLock

__all__ = ["Adviser"]

# Rules need not bear two threads, and two predictors may share the module of one.
_one_at_a_time = ProcessLock()

_log = logging.getLogger(__name__)


Look = Callable[[str, Collection[str]], Sequence[np.ndarray]]
"""Looks for animals beside one of a species, among species at risk: the probabilities of the species of each, [S]."""


class Adviser:
    """Recommends for the predictions of one model, for any number of threads."""

    def __init__(self, manifest: Manifest, recommender: Recommender):
        self._recommender = recommender
        self._taxonomy = manifest.taxonomy
        self._judged = frozenset(name for name, rows in manifest.policy.of("unlisted").items() if rows)

    def __call__(
        self, one: Prediction, beside: Sequence[np.ndarray] = (), *, look: Look | None, explain: bool
    ) -> RecommendationRecord | None:
        """What suits it, and harms no animal ``beside`` it, nor what it looks like, whatever ``only`` says; None for a
        photo that could not be read. Before it harms animals of some species, the photo is given a ``look`` for these,
        if there is one.
        """
        if one.decision is None:
            return None
        try:
            found = self._recommend(one, beside)
            if look is not None and (at_risk := self._at_risk(found)):
                bystanders = look(one.decision.species, at_risk)
                found = self._recommend(one, [*beside, *bystanders]) if bystanders else found
            return found.record(explain=explain)
        except Exception as error:  # what a rule does wrong must not cost the photo its prediction
            _log.warning("%s: no recommendation: %s", one.path, error, exc_info=not isinstance(error, HierpetsError))
            return RecommendationRecord.failed(str(error) or type(error).__name__)

    def _at_risk(self, found: Recommendation) -> Collection[str]:
        """The species that the product harms."""
        return self._recommender.catalog.hazards[found.product.id] if found.product else ()

    def _recommend(self, one: Prediction, beside: Sequence[np.ndarray]) -> Recommendation:
        joint, decision = one.joint, one.decision
        assert joint is not None  # what could be read has both
        assert decision is not None
        looks_like = None
        if one.unrestricted is not None:
            looks_like = species_probabilities(one.unrestricted, self._taxonomy)
            if not one.looks_like_a_pet:
                looks_like = np.zeros_like(looks_like)  # of no known species: it may be any animal
        unlisted = 1.0 - decision.listed if decision.species in self._judged else None
        with _one_at_a_time:
            return self._recommender.recommend(
                joint,
                self._taxonomy,
                decision.level,
                unlisted=unlisted,
                beside=beside,
                looks_like=looks_like,
                max_level=decision.max_level,
            )
