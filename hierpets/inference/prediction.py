"""The prediction for one photo: typed for Python, a record for files and HTTP, words for people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hierpets.data.photos import Photo
from hierpets.errors import HierpetsError
from hierpets.hierarchy.decision import UNLISTED, Decision, Level, Scores
from hierpets.hierarchy.policy import Thresholds
from hierpets.inference.record import (
    LabelProbability,
    LeafProbability,
    OODScores,
    PhotoError,
    PredictionRecord,
    ThresholdsRecord,
)
from hierpets.model.manifest import ModelId
from hierpets.recommend.result import RecommendationRecord

__all__ = ["Prediction"]


@dataclass(frozen=True, repr=False, eq=False)
class Prediction:
    """The prediction for one photo, or its ``error``. A ``warning`` says what is wrong with a damaged photo.

    ``path`` is the photo's path or name. ``species`` is the most probable species whatever the ``level``, None for a
    photo of no known pet; ``breed`` is set only at level ``breed``. ``joint`` float64 [L] holds the probabilities of
    all leaves, given that the breed is a listed one; ``decision`` everything behind the prediction. ``warning`` says
    what is wrong with a damaged photo. ``photo`` is kept by ``predict`` for :meth:`_repr_html_`; a stream does not keep
    it.
    """

    path: str
    model: ModelId
    thresholds: Thresholds
    decision: Decision | None = None
    joint: np.ndarray | None = None
    scores: Scores | None = None
    recommendation: RecommendationRecord | None = None
    warning: str | None = None
    error: HierpetsError | None = None
    photo: Photo | None = field(default=None, compare=False)

    @property
    def level(self) -> Level | None:
        """``breed``, ``species`` or ``unknown``; None when the photo could not be read."""
        return self.decision.level if self.decision else None

    @property
    def species(self) -> str | None:
        return self.decision.species if self.decision and self.decision.source != "not_a_known_pet" else None

    @property
    def breed(self) -> str | None:
        return self.decision.breed if self.decision and self.decision.level == "breed" else None

    @property
    def probability(self) -> float | None:
        """Of the prediction at its level; None for ``unknown`` and for a photo that could not be read."""
        d = self.decision
        if d is None or d.level == "unknown":
            return None
        return d.breed_probability if d.level == "breed" else d.species_probability

    @property
    def shampoo(self) -> str | None:
        """The id of the recommended product, if any."""
        return self.recommendation.product if self.recommendation else None

    @property
    def breed_recognized(self) -> bool:
        """Whether the photo looks like a listed breed, certain or not."""
        return self.decision is None or self.decision.listed >= UNLISTED

    def record(self) -> PredictionRecord:
        """The record of ``docs/output.md``."""
        # What is below was checked when it was made, and a path may hold bytes that are no text: nothing is validated.
        make = PredictionRecord.model_construct
        d, scores = self.decision, self.scores
        common: dict[str, Any] = {
            "path": self.path,
            "model": self.model,
            "thresholds": ThresholdsRecord.model_construct(**self.thresholds._asdict()),
            "recommendation": self.recommendation,
        }
        if d is None:
            error = PhotoError.model_construct(type=type(self.error).__name__, message=str(self.error))
            empty: dict[str, Any] = dict.fromkeys(("level", "species", "breed", "source", "reason", "scores"))
            return make(**common, **empty, top=(), warning=None, error=error)
        return make(
            **common,
            level=d.level,
            species=_labeled(d.species, d.species_probability) if self.species is not None else None,
            breed=_labeled(d.breed, d.breed_probability) if d.level == "breed" else None,
            top=tuple(
                LeafProbability.model_construct(species=leaf.species, breed=leaf.breed, probability=p)
                for leaf, p in (d.top if self.species is not None else ())
            ),
            source=d.source,
            reason=d.reason,
            scores=OODScores.model_construct(**scores._asdict()) if scores else None,
            warning=self.warning,
            error=None,
        )

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self.record().model_dump(mode="json") if self.path.isprintable() else self.record().model_dump()

    def json_text(self) -> str:
        """The record as JSON, in one line."""
        if self.path.isprintable():  # straight to text: by way of :meth:`to_json` it takes twice as long
            return self.record().model_dump_json()
        return json.dumps(self.to_json(), separators=(",", ":"))

    def __str__(self) -> str:
        """One line: the prediction and the shampoo."""
        return self._answer() + (f"; shampoo: {self.shampoo}" if self.shampoo else "")

    def __repr__(self) -> str:
        return f"<Prediction {self.path}: {self}>"

    def _repr_html_(self) -> str:
        """A card for notebooks: the photo's thumbnail, bars of the most probable leaves, the shampoo."""
        from hierpets.inference.card import render_card

        return render_card(self)

    def _answer(self) -> str:
        d = self.decision
        if d is None:
            return f"error: {self.error}"
        if d.level == "unknown":
            return f"unknown: {d.reason}"
        text = f"{d.species} {d.species_probability:.1%}"
        if d.level == "breed":
            return f"{text}, {d.breed} {d.breed_probability:.1%}"
        rivals = [(leaf.breed, p) for leaf, p in d.top if leaf.breed and leaf.species == d.species]
        if not rivals:
            return text
        if not self.breed_recognized:
            return f"{text}, breed not recognized (closest: {', '.join(breed for breed, _ in rivals)})"
        return f"{text}, breed uncertain: {', '.join(f'{breed} {p:.0%}' for breed, p in rivals)}"


def _labeled(label: Any, probability: Any) -> LabelProbability:
    return LabelProbability.model_construct(label=label, probability=probability)
