"""From photos to answers: decode, run the engine, combine, decide, recommend."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hierpets.data.photos import DEFAULT_LIMITS, Limits
from hierpets.errors import ImageError
from hierpets.hierarchy.decision import AS_FITTED, Asked, Decision, Scores, decide
from hierpets.hierarchy.policy import Thresholds
from hierpets.hierarchy.probabilities import joint_probabilities, restrict
from hierpets.inference.engine import Engine, RawOutput
from hierpets.inference.stream import Answered, Photo, answer_batches
from hierpets.model.bundle import Manifest
from hierpets.recommend.choose import Recommender

__all__ = ["Photo", "Prediction", "Predictor"]

UNLISTED = 0.1
"""How likely a pet whose photo looks like a known breed is of another one all the same: about one in ten photos of
breeds that were held out passes for a known one (docs/model_card.md)."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one photo, or the error that stands in its place. ``joint`` is float64 [L]."""

    path: str
    thresholds: Thresholds
    decision: Decision | None = None
    joint: np.ndarray | None = None
    scores: Scores | None = None
    recommendation: dict[str, Any] | None = None
    error: ImageError | None = None

    def to_json(self) -> dict[str, Any]:
        """The record of ``docs/output.md``: every key is always there."""
        d = self.decision
        return {
            "path": self.path,
            "level": d.level if d else None,
            "species": {"label": d.species, "probability": d.species_probability} if d else None,
            "breed": {"label": d.breed, "probability": d.breed_probability} if d and d.level == "breed" else None,
            "top": [{"species": leaf.species, "breed": leaf.breed, "probability": p} for leaf, p in d.top] if d else [],
            "source": d.source if d else None,
            "reason": d.reason if d else None,
            "thresholds": self.thresholds._asdict(),
            "scores": self.scores._asdict() if self.scores else None,
            "recommendation": self.recommendation,
            "error": {"type": type(self.error).__name__, "message": str(self.error)} if self.error else None,
        }


class Predictor:
    """A loaded bundle. One is enough for any number of photos."""

    def __init__(self, manifest: Manifest, engine: Engine, recommender: Recommender | None = None):
        self.manifest = manifest
        self.engine = engine
        self._recommender = recommender
        self._one_at_a_time = threading.Lock()  # shampoo rules are plugins, which need not bear two threads

    @property
    def recommends(self) -> bool:
        """Whether its answers name a product."""
        return self._recommender is not None

    def joint(self, output: RawOutput) -> np.ndarray:
        """Calibrated joint probabilities float64 [B, L] of a batch."""
        m = self.manifest
        species, leaf = m.temperatures.apply(output.species, output.leaf, m.taxonomy)
        return joint_probabilities(species, leaf, m.taxonomy, combiner=m.combiner)

    def predict(
        self,
        photos: Iterable[str | Photo],
        *,
        asked: Asked = AS_FITTED,
        only: np.ndarray | None = None,
        top_k: int = 3,
        batch_size: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        explain: bool = False,
    ) -> Iterator[Prediction]:
        """One answer a photo, in their order; a photo that cannot be read becomes its error. A ``str`` is a path.

        ``photos`` may be endless: few are read ahead, and a batch is answered when all its photos have come.
        ``batch_size`` is the engine's where it is not given; 1 has photos that come slowly answered one by one.
        ``only`` bool [L] restricts the answers to some leaves. ``explain`` adds each shampoo rule's effect.
        """
        if only is not None:
            asked = replace(asked, restricted=True)
        question = _Question(asked, only, top_k, explain)
        named = (photo if isinstance(photo, Photo) else Photo(photo, photo) for photo in photos)
        preprocess = self.manifest.preprocess
        batches = answer_batches(
            named,
            self.engine,
            preprocess=preprocess,
            limits=limits,
            finish=lambda answered: list(self._answers(answered, question)),
            batch_size=batch_size,
        )
        for answers in batches:
            yield from answers

    def _answers(self, answered: Answered, question: _Question) -> Iterator[Prediction]:
        output = answered.output
        rows = iter(()) if output is None else zip(self.joint(output), output.scores.tolist(), strict=True)
        unread = self.manifest.policy.thresholds("", question.asked.alpha)
        for position, photo in enumerate(answered.photos):
            if position in answered.errors:
                yield Prediction(photo.name, unread, error=answered.errors[position])
            else:
                joint, scores = next(rows)
                yield self._answer(photo.name, joint, Scores(*scores), question)

    def _answer(self, path: str, joint: np.ndarray, scores: Scores, question: _Question) -> Prediction:
        m = self.manifest
        if question.only is not None:
            joint = restrict(joint[None], question.only)[0]
        known_scores = scores if m.familiarity else None
        decision = decide(joint, m.taxonomy, m.policy, scores=known_scores, asked=question.asked, top_k=question.top_k)
        return Prediction(
            path, decision.thresholds, decision, joint, known_scores, self._recommend(joint, decision, scores, question)
        )

    def _recommend(
        self, joint: np.ndarray, decision: Decision, scores: Scores, question: _Question
    ) -> dict[str, Any] | None:
        if self._recommender is None:
            return None
        least = decision.thresholds.known
        unlisted = UNLISTED if least is not None and scores.known >= least else None
        with self._one_at_a_time:
            advice = self._recommender.recommend(joint, self.manifest.taxonomy, decision.level, unlisted=unlisted)
        return advice.to_json(explain=question.explain)


@dataclass(frozen=True)
class _Question:
    """What is asked of every photo of a call."""

    asked: Asked
    only: np.ndarray | None
    top_k: int
    explain: bool
