"""The prediction for one photo: typed attributes, a record for files and HTTP, and a line of text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import Origin
from hierpets.data.photos import Photo
from hierpets.errors import HierpetsError, without_name
from hierpets.hierarchy.decision import UNLISTED, Decision, Level
from hierpets.hierarchy.policy import Thresholds
from hierpets.messages.breeds import local_name
from hierpets.messages.catalogue import Language, current_language, number, say, speaking
from hierpets.recommend.result import RecommendationRecord
from hierpets.regions.boxes import Box
from hierpets.taxonomy import Leaf

if TYPE_CHECKING:
    from hierpets.inference.record import PredictionRecord, RegionRecord

__all__ = ["Prediction", "Region"]

MIN_RIVAL = 0.01  # lowest probability at which the text mentions another breed beside the most probable one


@dataclass(frozen=True, repr=False, eq=False)
class Prediction:
    """The prediction for one photo, or its ``error``. A ``warning`` says what is wrong with a damaged photo.

    ``path`` is the photo's path or name. ``species`` is the most probable species whatever the ``level``, None for a
    photo of no known pet; ``breed`` is set only at level ``breed``, and ``breeds`` where the answer leaves a few open.
    ``decision`` has the details behind them.

    ``joint`` float64 [L] are the probabilities of all leaves, given that the breed is a listed one; ``unrestricted``
    float64 [L] are those before ``only`` left classes out, None without ``only``. ``pet_score`` says how much the photo
    looks like a pet; ``objection`` is how much it was lowered because the photo looks like another animal. ``stage`` is
    the number of the network that answered, 0 for the first of the cascade. ``second_look`` is the part of the photo
    that was looked at again, around a small animal, if there was doubt. ``origins`` says how the model learned each
    leaf. ``regions`` are the animals in the photo from left to right, None unless requested. ``photo`` is kept by
    ``predict`` for :meth:`_repr_html_`; a stream does not keep it. ``language`` is that of its sentences.
    """

    path: str
    model: ModelId
    thresholds: Thresholds
    decision: Decision | None = None
    joint: np.ndarray | None = None
    pet_score: float | None = None
    unrestricted: np.ndarray | None = None
    recommendation: RecommendationRecord | None = None
    stage: int | None = None
    second_look: Box | None = None
    objection: float = 0.0
    warning: str | None = None
    error: HierpetsError | None = None
    origins: Mapping[Leaf, Origin] = field(default_factory=dict)
    photo: Photo | None = None
    regions: tuple[Region, ...] | None = None
    language: Language = field(default_factory=current_language)

    @property
    def level(self) -> Level | None:
        """``breed``, ``species`` or ``unknown``; None when the photo could not be read."""
        return self.decision.level if self.decision else None

    @property
    def species(self) -> str | None:
        """The most probable species; None for a photo of no known pet, and for one that could not be read."""
        return self.decision.species if self.decision and self.decision.source != "not_a_known_pet" else None

    @property
    def breed(self) -> str | None:
        """The predicted breed; None above breed level."""
        return self.decision.breed if self.decision and self.decision.level == "breed" else None

    @property
    def breeds(self) -> tuple[str, ...]:
        """The few breeds that the answer leaves open because no single one is sure enough, best first; else empty."""
        return tuple(str(leaf.breed) for leaf, _ in self.decision.breeds) if self.decision else ()

    @property
    def origin(self) -> Origin | None:
        """How the model learned the breed: ``trained``, ``grown`` or ``pretrained``; None above breed level."""
        return self.origins.get(Leaf(self.decision.species, self.breed)) if self.decision and self.breed else None

    @property
    def probability(self) -> float | None:
        """The probability of the prediction at its level; None for ``unknown`` and for an unreadable photo."""
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
        """Whether the photo looks like a listed breed, certain or not; False for one that could not be read."""
        return self.decision is not None and self.decision.listed >= UNLISTED

    @property
    def looks_like_a_pet(self) -> bool:
        """Whether the photo looks like a pet of a known species, whatever ``only`` says; True without a pet score."""
        pet_threshold = self.thresholds.pet
        return self.pet_score is None or pet_threshold is None or self.pet_score >= pet_threshold

    def record(self) -> PredictionRecord:
        """The record described in ``docs/output.md``."""
        # Imported only when needed: the import takes longer than predicting a photo.
        from hierpets.inference.recording import record_of

        return record_of(self)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self.record().model_dump(mode="json")

    def json_text(self) -> str:
        """The record as JSON, in one line."""
        record = self.record()
        try:
            return record.model_dump_json()  # half the time of going through :meth:`to_json`
        except ValueError:  # a file name that is not valid UTF-8, which pydantic cannot write
            return json.dumps(record.model_dump(mode="json"), separators=(",", ":"))

    def __str__(self) -> str:
        """One line in the prediction's language: the prediction and the shampoo."""
        with speaking(self.language):
            return self.headline() + (say("; shampoo: {product}", product=self.shampoo) if self.shampoo else "")

    def __repr__(self) -> str:
        return f"<Prediction {self.path}: {self}>"

    def _repr_html_(self) -> str:
        """A card for notebooks: the photo's thumbnail, bars of the most probable leaves, the shampoo, the regions."""
        from hierpets.inference.card import render_card

        with speaking(self.language):
            return render_card(self)

    def headline(self) -> str:
        """The prediction in one line, in its own language."""
        with speaking(self.language):
            return self._headline()

    def _headline(self) -> str:
        d = self.decision
        if d is None:
            return say("error: {why}", why=without_name(self.error, self.path) if self.error else None)
        if d.level == "unknown":
            return say("unknown: {why}", why=d.reason)
        text = f"{local_name(d.species) or d.species} {number(f'{d.species_probability:.1%}')}"
        if d.level == "breed":
            pretrained = say(" (known from pretraining alone)") * (self.origin == "pretrained")
            return f"{text}, {self._name(d.breed)} {number(f'{d.breed_probability:.1%}')}{pretrained}"
        if d.breeds:
            breeds = say(" or ").join(map(self._name, self.breeds))
            return f"{text}, {breeds} {number(f'{sum(p for _, p in d.breeds):.1%}')}"
        rivals = [(self._name(leaf.breed), p) for leaf, p in d.top if leaf.breed and leaf.species == d.species]
        if not rivals or d.max_level == "species":
            return text
        if not self.breed_recognized:
            closest = ", ".join(breed for breed, _ in rivals)
            return say("{pet}, breed not recognized (closest: {breeds})", pet=text, breeds=closest)
        likely = [rival for rival in rivals if rival[1] >= MIN_RIVAL] or rivals[:1]
        shares = ", ".join(f"{breed} {number(f'{p:.0%}')}" for breed, p in likely)
        return say("{pet}, breed uncertain: {breeds}", pet=text, breeds=shares)

    def _name(self, breed: str | None) -> str:
        """The name of a breed in the current language; its label in English."""
        assert self.decision is not None
        return local_name(self.decision.species, breed) or str(breed)


@dataclass(frozen=True, repr=False, eq=False)
class Region:
    """One animal in a photo: its ``box``, and the ``prediction`` for what is inside.

    ``box_score`` is the confidence of the box, from 0 to 1, by the file of boxes or the detector; None if there is
    none.
    """

    box: Box
    box_score: float | None
    prediction: Prediction

    def record(self) -> RegionRecord:
        """The record described in ``docs/output.md``."""
        from hierpets.inference.recording import record_of_region

        return record_of_region(self)

    def __str__(self) -> str:
        """One line, in the language of its prediction."""
        with speaking(self.prediction.language):
            left, top, right, bottom = (number(f"{edge:.0%}") for edge in self.box.edges)
            return say(
                "{left} to {right} across, {top} to {bottom} down: {answer}",
                left=left,
                right=right,
                top=top,
                bottom=bottom,
                answer=self.prediction,
            )

    def __repr__(self) -> str:
        return f"<Region {self}>"
