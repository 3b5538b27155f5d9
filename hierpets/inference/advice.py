"""Recommend a shampoo for a prediction, by rules that are plugins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.errors import HierpetsError
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.prediction import Prediction
from hierpets.recommend.choose import Recommender
from hierpets.recommend.result import Recommendation, RecommendationRecord
from hierpets.workers import ProcessLock

__all__ = ["Adviser", "Search"]

# Rules need not be thread-safe, and two predictors may share the module of a rule.
_one_at_a_time = ProcessLock()

_log = logging.getLogger(__name__)

Search = Callable[[str], np.ndarray]
"""Searches a photo for animals beside a pet of this species; returns the probability of each species, [S]."""


class Adviser:
    """Recommends products for the predictions of one model; any number of threads may share it."""

    def __init__(self, manifest: Manifest, recommender: Recommender):
        self.recommender = recommender
        self._taxonomy = manifest.taxonomy
        self._judged = frozenset(name for name, rows in manifest.policy.of("unlisted").items() if rows)

    def __call__(
        self, one: Prediction, beside: Sequence[np.ndarray] = (), *, search: Search | None, explain: bool
    ) -> RecommendationRecord | None:
        """Recommend a product that harms neither the pet, nor what it looks like without ``only``, nor an animal beside
        it.

        ``beside`` are the species probabilities of other animals in the photo. Before a product is recommended that
        harms some species, ``search``, if given, looks for other animals in the photo. None for a photo that could not
        be read.
        """
        if one.decision is None:
            return None
        try:
            found = self._recommend(one, beside)
            if search is not None and self._may_harm(found):
                found = self._after_search(search, one, beside) or found
            return found.record(explain=explain)
        except Exception as error:  # a rule that fails must not lose the prediction
            _log.warning("%s: no recommendation: %s", one.path, error, exc_info=_is_unexpected(error))
            return RecommendationRecord.failed(str(error) or type(error).__name__)

    def _may_harm(self, found: Recommendation) -> bool:
        return found.product is not None and bool(self.recommender.catalog.hazards[found.product.id])

    def _after_search(self, search: Search, one: Prediction, beside: Sequence[np.ndarray]) -> Recommendation | None:
        """The recommendation in view of other animals that ``search`` finds; None if it finds none."""
        assert one.decision is not None
        try:
            bystanders = search(one.decision.species)
        except Exception as error:  # such as a deleted photo: it may show any animal
            _log.warning(
                "%s: cannot be searched for other animals: %s", one.path, error, exc_info=_is_unexpected(error)
            )
            return self._recommend(one, [*beside, np.zeros(len(self._taxonomy.species))])
        return self._recommend(one, beside, bystanders) if bystanders.any() else None

    def _recommend(
        self, one: Prediction, beside: Sequence[np.ndarray], bystanders: np.ndarray | None = None
    ) -> Recommendation:
        joint, decision = one.joint, one.decision
        assert joint is not None  # set for every photo that could be read
        assert decision is not None
        looks_like = None
        if one.unrestricted is not None:
            looks_like = species_probabilities(one.unrestricted, self._taxonomy)
            if not one.looks_like_a_pet:
                looks_like = np.zeros_like(looks_like)  # no probability mass: it may be any animal
        unlisted = 1.0 - decision.listed if decision.species in self._judged else None
        with _one_at_a_time:
            return self.recommender.recommend(
                joint,
                self._taxonomy,
                decision.level,
                unlisted=unlisted,
                beside=beside,
                bystanders=bystanders,
                looks_like=looks_like,
                max_level=decision.max_level,
            )


def _is_unexpected(error: Exception) -> bool:
    return not isinstance(error, HierpetsError)
