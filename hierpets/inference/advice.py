"""The shampoo for a prediction, by rules that are plugins."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.errors import HierpetsError
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.prediction import Prediction
from hierpets.recommend.choose import Recommender
from hierpets.recommend.result import RecommendationRecord
from hierpets.workers import ProcessLock

__all__ = ["Adviser"]

# Rules need not bear two threads, and two predictors may share the module of one.
_one_at_a_time = ProcessLock()

_log = logging.getLogger(__name__)


class Adviser:
    """Recommends for the predictions of one model, for any number of threads."""

    def __init__(self, manifest: Manifest, recommender: Recommender):
        self._recommender = recommender
        self._taxonomy = manifest.taxonomy
        self._judged = frozenset(name for name, rows in manifest.policy.of("unlisted").items() if rows)

    def __call__(
        self, one: Prediction, beside: Sequence[np.ndarray] = (), *, explain: bool
    ) -> RecommendationRecord | None:
        """What suits it, and harms no animal ``beside`` it, nor what it looks like, whatever ``only`` says; None for a
        photo that could not be read.
        """
        joint, decision = one.joint, one.decision
        if joint is None or decision is None:
            return None
        looks_like = None
        if one.unrestricted is not None:
            looks_like = species_probabilities(one.unrestricted, self._taxonomy)
            if not one.looks_like_a_pet:
                looks_like = np.zeros_like(looks_like)  # of no known species: it may be any animal
        unlisted = 1.0 - decision.listed if decision.species in self._judged else None
        try:
            with _one_at_a_time:
                found = self._recommender.recommend(
                    joint,
                    self._taxonomy,
                    decision.level,
                    unlisted=unlisted,
                    beside=beside,
                    looks_like=looks_like,
                    max_level=decision.max_level,
                )
            return found.record(explain=explain)
        except Exception as error:  # what a rule does wrong must not cost the photo its prediction
            _log.warning("%s: no recommendation: %s", one.path, error, exc_info=not isinstance(error, HierpetsError))
            return RecommendationRecord.failed(str(error) or type(error).__name__)
